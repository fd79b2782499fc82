//! What stands in where a derive fails, so that the places where the type is used say nothing more.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, parse_quote};

/// The message, and an implementation of `of` with this body. A generic type's own bounds are not
/// known here, so that it holds wherever the type meets `bound`.
pub(crate) fn stand_in(
    item: &DeriveInput,
    error: &Error,
    of: &TokenStream,
    bound: &TokenStream,
    body: &TokenStream,
) -> TokenStream {
    let message = error.to_compile_error();
    if matches!(item.data, Data::Union(_)) {
        return message;
    }
    let (name, mut generics) = (&item.ident, item.generics.clone());
    if !generics.params.is_empty() {
        generics.make_where_clause().predicates.push(parse_quote!(Self: #bound));
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    quote! {
        #message

        #[automatically_derived]
        impl #parameters #of for #name #arguments #bounds { #body }
    }
}
