//! `#[handler]` on an `async fn`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Item, ItemFn, Result, ReturnType, Safety, Signature, Type};

use crate::options::{self, Given};

const OPTIONS: &[&str] = &["name", "concurrency", "timeout", "retry", "breaker", "start"];

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function = function(item)?;
    let definition = definition(args, &function.sig);
    let submit = definition.is_ok().then(|| submit(&function));
    let declare = declare(&function, definition.unwrap_or_else(Error::into_compile_error));
    Ok(quote!(#declare #submit))
}

/// The function, on which a type of the same name may stand.
fn function(item: TokenStream) -> Result<ItemFn> {
    let function = match syn::parse2(item)? {
        Item::Fn(function) => function,
        other => {
            return Err(Error::new_spanned(
                first_token(&other),
                "`#[handler]` goes on an `async fn`",
            ));
        }
    };
    if let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first() {
        let message = "a handler is a free function; shared values come as `State<T>`";
        return Err(Error::new_spanned(receiver, message));
    }
    Ok(function)
}

fn check(signature: &Signature) -> Result<()> {
    if signature.asyncness.is_none() {
        return Err(Error::new(signature.fn_token.span, "a handler is an `async fn`"));
    }
    if let Safety::Unsafe(keyword) = &signature.safety {
        return Err(Error::new_spanned(
            keyword,
            "a handler can not be `unsafe`: nobody could keep its promise",
        ));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, "a handler is a Rust function"));
    }
    if !signature.generics.params.is_empty() {
        let message = "a handler can not be generic: it is registered once, for one type of event";
        return Err(Error::new_spanned(&signature.generics, message));
    }
    Ok(())
}

fn first_token(item: &Item) -> TokenStream {
    quote!(#item).into_iter().take(1).collect()
}

/// One call on the options.
fn setting(given: &Given) -> Result<TokenStream> {
    let name = &given.name;
    let value = match name.to_string().as_str() {
        "name" => {
            let text = given.text()?;
            let name = text.value();
            if name.is_empty()
                || name.len() > 64
                || !name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            {
                return Err(Error::new(text.span(), "a name has 1 to 64 of `a-z`, `0-9` and `-`"));
            }
            quote!(#text)
        }
        "concurrency" => given.number().map(|number| quote!(#number))?,
        "timeout" => given.code("Duration::from_secs(20)").map(|code| quote!(#code))?,
        "retry" => given.code("Retry::exponential(SECOND, MINUTE)").map(|code| quote!(#code))?,
        "breaker" => given.code("Breaker::off()").map(|code| quote!(#code))?,
        _ => given.code("Start::Now").map(|code| quote!(#code))?,
    };
    Ok(quote_spanned!(value.span()=> .#name(#value)))
}

/// The event's type, and those of the rest.
fn parameters(signature: &Signature) -> Result<(&Type, Vec<&Type>)> {
    let mut types = Vec::new();
    for input in &signature.inputs {
        // A receiver was refused before.
        let FnArg::Typed(input) = input else { continue };
        match &*input.ty {
            Type::ImplTrait(ty) => {
                return Err(Error::new_spanned(ty, "a handler names the types of its parameters"));
            }
            Type::Reference(ty) => {
                let message = "a handler takes its event and its parameters by value";
                return Err(Error::new_spanned(ty, message));
            }
            ty => types.push(ty),
        }
    }
    let first =
        || format!("a handler takes its event first: `async fn {}(event: …)`", signature.ident);
    match types.split_first() {
        Some((event, _)) if is_no_event(event) => Err(Error::new_spanned(event, first())),
        Some((event, parameters)) => Ok((event, parameters.to_vec())),
        None => Err(Error::new(signature.ident.span(), first())),
    }
}

/// Spares a second message, that the event is no parameter, where the order is wrong.
fn is_no_event(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| {
        last.ident == "Context" || (last.ident == "State" && !last.arguments.is_empty())
    })
}

/// What it returns.
fn output(signature: &Signature) -> TokenStream {
    match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    }
}

/// The `HandlerDef`, as an expression.
fn definition(args: TokenStream, signature: &Signature) -> Result<TokenStream> {
    check(signature)?;
    let given = Parser::parse2(|input: ParseStream<'_>| options::parse(input, OPTIONS), args)?;
    let settings = given.iter().map(setting).collect::<Result<Vec<_>>>()?;
    let (event, parameters) = parameters(signature)?;
    let (name, text) = (&signature.ident, signature.ident.unraw().to_string());
    let output = output(signature);
    // One name each, wherever a type comes from: in a macro of the user's, that is another place.
    let [needs, ctx] = ["needs", "ctx"].map(|name| Ident::new(name, Span::mixed_site()));
    let requires = parameters
        .iter()
        .map(|ty| quote_spanned!(ty.span()=> <#ty as ::bus_core::Parameter>::requires(#needs);));
    let reads = parameters
        .iter()
        .map(|ty| quote_spanned!(ty.span()=> <#ty as ::bus_core::Parameter>::read(&#ctx)?));
    let define = quote_spanned!(event.span()=> ::bus_core::HandlerDef::new::<#event>);
    let event = quote_spanned!(event.span()=> ::bus_core::__private::event::<#event>(&#ctx)?);
    let outcome = quote_spanned!(output.span()=> ::bus_core::__private::outcome::<#output>);
    let call = quote_spanned!(name.span()=> #name(#event, #(#reads),*));
    Ok(quote! {
        &#define(
            ::bus_core::__private::Site {
                name: #text,
                package: ::core::env!("CARGO_PKG_NAME"),
                version: ::core::env!("CARGO_PKG_VERSION"),
                module: ::core::module_path!(),
                file: ::core::file!(),
                line: ::core::line!(),
            },
            ::bus_core::Options::new() #(#settings)*,
            |#needs| { let _ = &#needs; #(#requires)* },
            |#ctx| ::std::boxed::Box::pin(async move {
                #outcome(::bus_core::__private::send(#call).await)
            }),
        )
    })
}

/// The type of the function's name. It stands there also if the definition is an error: so that
/// `handlers![..]` adds no second one.
fn declare(function: &ItemFn, definition: TokenStream) -> TokenStream {
    let (cfg, vis, name) = (cfg(function), &function.vis, &function.sig.ident);
    quote! {
        #(#cfg)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code)]
        #vis struct #name {}

        #(#cfg)*
        impl ::bus_core::__private::Declared for #name {
            const DEF: &'static ::bus_core::HandlerDef = { #definition };
        }
    }
}

fn submit(function: &ItemFn) -> TokenStream {
    let (cfg, name) = (cfg(function), &function.sig.ident);
    quote! {
        #(#cfg)*
        ::bus_core::__private::inventory::submit! {
            ::bus_core::__private::Registered(<#name as ::bus_core::__private::Declared>::DEF)
        }
    }
}

fn cfg(function: &ItemFn) -> Vec<&Attribute> {
    function.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}
