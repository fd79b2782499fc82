//! `#[derive(Event)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Index, LitStr, Result};

use crate::options::{self, Given};
use crate::{stand_in, subject};

const OPTIONS: &[&str] = &["subject", "type", "version", "codec"];

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    Ok(implement(&item).unwrap_or_else(|error| stand_in(&item, &error)))
}

fn implement(item: &DeriveInput) -> Result<TokenStream> {
    let fields = fields(item)?;
    let given = options::of(&item.attrs, "event", OPTIONS)?;
    let subject = subject_of(item, &given)?;
    let values = values(subject, fields)?;
    let type_name = type_name(subject, &given)?;
    let version = version(&given)?;
    let codec = codec(&given)?;
    let key = key(&item.data)?;
    let name = &item.ident;
    Ok(quote! {
        // The type may be deprecated, and stays an event.
        #[allow(deprecated)]
        const _: () = {
            #[automatically_derived]
            impl ::bus_core::Event for #name {
                const TYPE: &'static str = #type_name;
                const VERSION: u32 = #version;
                const SUBJECT: ::bus_core::Template = ::bus_core::Template::literal(#subject);
                type Codec = #codec;

                fn subject(&self) -> ::core::result::Result<::bus_core::Subject, ::bus_core::subject::InvalidSubject> {
                    // Not `Self::SUBJECT`, which would say once more which trait of serde is missing.
                    const SUBJECT: ::bus_core::Template = ::bus_core::Template::literal(#subject);
                    SUBJECT.fill(&[#(#values),*])
                }

                #key
            }

            ::bus_core::__private::inventory::submit! {
                ::bus_core::event::EventDef::of::<#name>()
            }
        };
    })
}

/// The fields that a subject can name.
fn fields(item: &DeriveInput) -> Result<Option<&Fields>> {
    if !item.generics.params.is_empty() {
        let message = "an event can not be generic: its name and its subject belong to one type";
        return Err(Error::new_spanned(&item.generics, message));
    }
    match &item.data {
        Data::Struct(data) => Ok(Some(&data.fields)),
        Data::Enum(_) => Ok(None),
        Data::Union(data) => {
            Err(Error::new(data.union_token.span, "an event is a struct or an enum"))
        }
    }
}

fn stand_in(item: &DeriveInput, error: &Error) -> TokenStream {
    let (of, bound) = (quote!(::bus_core::Event), quote!(::bus_core::__private::Payload));
    let body = quote! {
        const TYPE: &'static str = "";
        const VERSION: u32 = 1;
        const SUBJECT: ::bus_core::Template = ::bus_core::Template::literal("stand.in");
        type Codec = ::bus_core::codec::Json;

        fn subject(&self) -> ::core::result::Result<::bus_core::Subject, ::bus_core::subject::InvalidSubject> {
            ::bus_core::Subject::parse("stand.in")
        }
    };
    stand_in::stand_in(item, error, &of, &bound, &body)
}

fn find<'a>(given: &'a [Given], name: &str) -> Option<&'a Given> {
    given.iter().find(|given| given.is(name))
}

fn subject_of<'a>(item: &DeriveInput, given: &'a [Given]) -> Result<&'a LitStr> {
    let missing = "an event needs a subject: `#[event(subject = \"orders.placed\")]`";
    find(given, "subject").ok_or_else(|| Error::new(item.ident.span(), missing))?.text()
}

/// One expression a field of the template, in order.
fn values(subject: &LitStr, fields: Option<&Fields>) -> Result<Vec<TokenStream>> {
    let value = |name: String| {
        let field = fields
            .into_iter()
            .flatten()
            .find(|field| field.ident.as_ref().is_some_and(|ident| ident.unraw() == name));
        let Some(ident) = field.and_then(|field| field.ident.as_ref()) else {
            let message = format!("the subject has `{{{name}}}`, and there is no such field");
            return Err(Error::new(subject.span(), message));
        };
        Ok(quote_spanned!(ident.span()=> &self.#ident))
    };
    subject::fields(subject)?.into_iter().map(value).collect()
}

fn type_name(subject: &LitStr, given: &[Given]) -> Result<LitStr> {
    let Some(given) = find(given, "type") else {
        return Ok(LitStr::new(&subject::type_name(&subject.value()), subject.span()));
    };
    let text = given.text()?;
    let value = text.value();
    if value.is_empty() || value.len() > 256 || !value.chars().all(|c| c.is_ascii_graphic()) {
        let message = "the type's name has 1 to 256 visible ASCII characters";
        return Err(Error::new(text.span(), message));
    }
    Ok(text.clone())
}

fn version(given: &[Given]) -> Result<TokenStream> {
    match find(given, "version") {
        None => Ok(quote!(1)),
        Some(given) => given.number().map(|number| quote!(#number)),
    }
}

fn codec(given: &[Given]) -> Result<TokenStream> {
    match find(given, "codec") {
        None => Ok(quote!(::bus_core::codec::Json)),
        Some(given) => given.code("codec::Json").map(|path| quote!(#path)),
    }
}

fn key(data: &Data) -> Result<TokenStream> {
    let mut key = None;
    for (at, field) in all_fields(data).into_iter().enumerate() {
        for option in options::of(&field.attrs, "event", &["key"])? {
            option.flag()?;
            if key.is_some() {
                return Err(Error::new(option.name.span(), "an event has one key"));
            }
            if !matches!(data, Data::Struct(_)) {
                return Err(Error::new(
                    option.name.span(),
                    "the key of an enum is given with `.key(..)`",
                ));
            }
            key = Some(member(field, at));
        }
    }
    Ok(key.map_or_else(TokenStream::new, |member| {
        quote! {
            fn key(&self) -> ::core::option::Option<::std::string::String> {
                let key: &dyn ::core::fmt::Display = #member;
                ::core::option::Option::Some(::std::string::ToString::to_string(key))
            }
        }
    }))
}

fn all_fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

fn member(field: &Field, at: usize) -> TokenStream {
    match &field.ident {
        Some(ident) => quote_spanned!(ident.span()=> &self.#ident),
        None => {
            let span = field.ty.span();
            let index = Index { index: at as u32, span };
            quote_spanned!(span=> &self.#index)
        }
    }
}
