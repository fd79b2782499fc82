//! `#[derive(Failure)]`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Member, Result, Type};

use crate::options::{self, Given};
use crate::stand_in;

const OPTIONS: &[&str] = &["retry", "retry_after", "reject", "inherit", "verdict", "class"];

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    Ok(implement(&item).unwrap_or_else(|error| stand_in(&item, &error)))
}

fn implement(item: &DeriveInput) -> Result<TokenStream> {
    if !item.generics.params.is_empty() {
        let message =
            "a generic error can not be registered, and its verdict would be lost behind `?`";
        return Err(Error::new_spanned(&item.generics, message));
    }
    let shared = options::of(&item.attrs, "failure", OPTIONS)?;
    let arms = match &item.data {
        Data::Struct(data) => {
            vec![Arm::new(&item.ident, &data.fields, &[], &shared, quote!(Self))?]
        }
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|variant| {
                let own = options::of(&variant.attrs, "failure", OPTIONS)?;
                let name = &variant.ident;
                Arm::new(name, &variant.fields, &own, &shared, quote!(Self::#name))
            })
            .collect::<Result<_>>()?,
        Data::Union(data) => {
            return Err(Error::new(data.union_token.span, "a failure is an enum or a struct"));
        }
    };
    Ok(emit(&item.ident, &arms))
}

fn stand_in(item: &DeriveInput, error: &Error) -> TokenStream {
    let of = quote!(::bus_core::Failure);
    let error_of = quote!(::core::convert::Into<::bus_core::HandlerError>);
    let bound = quote!(#error_of + ::core::marker::Send + 'static);
    let body = quote! {
        fn verdict(&self) -> ::bus_core::Verdict {
            ::bus_core::Verdict::Retry
        }

        fn class(&self) -> ::std::borrow::Cow<'static, str> {
            ::std::borrow::Cow::Borrowed("")
        }

        fn only_the_derive_implements_this(_: ::bus_core::__private::Derived) {}
    };
    stand_in::stand_in(item, error, &of, &bound, &body)
}

fn emit(name: &Ident, arms: &[Arm]) -> TokenStream {
    let verdicts = arms.iter().map(|Arm { pattern, verdict, .. }| quote!(#pattern => #verdict));
    let classes = arms.iter().map(|Arm { pattern, class, .. }| quote!(#pattern => #class));
    // An empty enum has no arms, and a match by reference needs one.
    let none = arms.is_empty().then(|| quote!(_ => match *self {}));
    quote! {
        // The type may be deprecated, and stays a failure.
        #[allow(deprecated)]
        const _: () = {
            #[automatically_derived]
            impl ::bus_core::Failure for #name {
                #[allow(unused_variables)]
                fn verdict(&self) -> ::bus_core::Verdict {
                    match self { #(#verdicts,)* #none }
                }

                #[allow(unused_variables)]
                fn class(&self) -> ::std::borrow::Cow<'static, str> {
                    match self { #(#classes,)* #none }
                }

                fn only_the_derive_implements_this(_: ::bus_core::__private::Derived) {}
            }

            ::bus_core::__private::inventory::submit! {
                ::bus_core::__private::FailureDef::of::<#name>()
            }
        };
    }
}

/// One variant, or the struct: its pattern, and what both methods say of it.
struct Arm {
    pattern: TokenStream,
    verdict: TokenStream,
    class: TokenStream,
}

impl Arm {
    fn new(
        name: &Ident,
        fields: &Fields,
        own: &[Given],
        shared: &[Given],
        path: TokenStream,
    ) -> Result<Self> {
        let mut arm = Self {
            pattern: quote!(#path { .. }),
            verdict: quote!(::bus_core::Verdict::Retry),
            class: literal(&snake(name)),
        };
        if let Some(given) = decision(own, shared)? {
            arm.decide(given, fields, &path)?;
        }
        if let Some(given) = own.iter().chain(shared).find(|given| given.is("class")) {
            arm.class = literal(&given.text()?.value());
        }
        Ok(arm)
    }

    fn decide(&mut self, given: &Given, fields: &Fields, path: &TokenStream) -> Result<()> {
        if given.is("verdict") {
            let code = given.code("verdict_of")?;
            self.verdict = quote_spanned!(code.span()=> (#code)(self));
            return Ok(());
        }
        given.flag()?;
        if given.is("reject") {
            self.verdict = quote!(::bus_core::Verdict::Reject);
        } else if given.is("retry_after") {
            let (member, ty) = only_field(given, fields, "a `Duration`")?;
            self.pattern = quote!(#path { #member: field, .. });
            let after = quote_spanned!(ty.span()=> ::core::clone::Clone::clone(field));
            self.verdict = quote!(::bus_core::Verdict::RetryAfter(#after));
        } else if given.is("inherit") {
            let (member, ty) = only_field(given, fields, "the inner error")?;
            self.pattern = quote!(#path { #member: field, .. });
            self.verdict = quote_spanned!(ty.span()=> <#ty as ::bus_core::Failure>::verdict(field));
            self.class = quote_spanned!(ty.span()=> <#ty as ::bus_core::Failure>::class(field));
        }
        Ok(())
    }
}

/// What the variant says, or else what the type says: one thing.
fn decision<'a>(own: &'a [Given], shared: &'a [Given]) -> Result<Option<&'a Given>> {
    let decides = |given: &&Given| !given.is("class");
    for level in [own, shared] {
        if let Some(second) = level.iter().filter(decides).nth(1) {
            let message = "a failure is decided in one way: `retry`, `retry_after`, `reject`, `inherit` or `verdict = …`";
            return Err(Error::new(second.name.span(), message));
        }
    }
    Ok(own.iter().find(decides).or_else(|| shared.iter().find(decides)))
}

fn literal(class: &str) -> TokenStream {
    quote!(::std::borrow::Cow::Borrowed(#class))
}

fn only_field<'a>(given: &Given, fields: &'a Fields, what: &str) -> Result<(Member, &'a Type)> {
    let mut all = fields.members().zip(fields);
    match (all.next(), all.next()) {
        (Some((member, field)), None) => Ok((member, &field.ty)),
        _ => {
            let message = format!(
                "`{}` goes on a variant with one field, {what}; use `verdict = path` otherwise",
                given.name
            );
            Err(Error::new(given.name.span(), message))
        }
    }
}

fn snake(name: &Ident) -> String {
    let mut snake = String::new();
    for c in name.to_string().trim_start_matches("r#").chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
