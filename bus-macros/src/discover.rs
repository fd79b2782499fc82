//! `discover!`.

use std::env;
use std::fs;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Path;
use syn::Result;

pub(crate) fn expand(path: TokenStream) -> Result<TokenStream> {
    let links = dependencies(arguments());
    let path: Option<Path> = if path.is_empty() { None } else { Some(syn::parse2(path)?) };
    // A module that does not exist is rustc's to underline.
    let exists = path.iter().map(|path| {
        let end = path.segments.last().map_or_else(Span::call_site, |segment| segment.ident.span());
        quote_spanned!(end=> #[allow(unused_imports)] use #path as _;)
    });
    let relative = path.as_ref().is_some_and(|path| is_relative(path, &links));
    let text = path.to_token_stream().to_string().replace(' ', "");
    let text = if relative { format!("self::{text}") } else { text };
    Ok(quote!({
        #(#[allow(unused_extern_crates, clippy::single_component_path_imports)] extern crate #links as _;)*
        #(#exists)*
        ::bus_core::Handlers::discovered(::core::module_path!(), #text)
    }))
}

/// Whether a path begins with a module that is in scope here.
fn is_relative(path: &Path, crates: &[Ident]) -> bool {
    let first = path.segments.first().map(|segment| &segment.ident);
    let anchored = |first: &Ident| first == "crate" || first == "self" || first == "super";
    path.leading_colon.is_none()
        && first.is_some_and(|first| !anchored(first) && !crates.contains(first))
}

/// The command line of the running rustc, response files included.
fn arguments() -> Vec<String> {
    let mut arguments = Vec::new();
    for argument in env::args_os().filter_map(|argument| argument.into_string().ok()) {
        match argument.strip_prefix('@').map(fs::read_to_string) {
            Some(Ok(file)) => arguments.extend(file.lines().map(str::to_owned)),
            _ => arguments.push(argument),
        }
    }
    arguments
}

/// What cargo passed as `--extern name=path`: the dependencies, and the package's own library.
fn dependencies(arguments: Vec<String>) -> Vec<Ident> {
    let mut names = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let given = match argument.strip_prefix("--extern=") {
            Some(given) => Some(given.to_owned()),
            None if argument == "--extern" => arguments.next(),
            None => None,
        };
        let Some((name, _)) = given.as_ref().and_then(|given| given.split_once('=')) else {
            continue;
        };
        // `priv,noprelude:name`
        let (options, name) = name.rsplit_once(':').unwrap_or(("", name));
        if !options.contains("noprelude") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    let name = |name: String| syn::parse_str::<Ident>(&name).ok();
    names
        .into_iter()
        .filter_map(name)
        .map(|ident| Ident::new(&ident.to_string(), Span::call_site()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_dependency_is_read() {
        let line = "rustc --extern orders=/a/liborders.rlib --extern=billing=/b.rmeta \
                    --extern priv:mailer=c.rlib --extern noprelude:core=d --extern proc_macro";
        let names = dependencies(line.split_whitespace().map(str::to_owned).collect());
        let names: Vec<_> = names.iter().map(Ident::to_string).collect();
        assert_eq!(names, ["billing", "mailer", "orders"]);
    }
}
