//! What stands in the parentheses of an attribute, for all macros.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Result, Token};

/// `name = value`, or `name` alone.
pub(crate) struct Given {
    pub(crate) name: Ident,
    value: Option<Expr>,
}

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = Ident::parse_any(input)
            .map_err(|error| Error::new(error.span(), "an option is written `name = value`"))?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(bare(input.parse()?)),
            None => None,
        };
        Ok(Self { name, value })
    }
}

/// What a macro of the user's passes on stands in a group that nobody sees.
fn bare(value: Expr) -> Expr {
    match value {
        Expr::Group(group) => bare(*group.expr),
        value => value,
    }
}

impl Given {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    pub(crate) fn value(&self) -> Result<&Expr> {
        let missing =
            || Error::new(self.name.span(), format!("`{0}` needs a value: `{0} = …`", self.name));
        self.value.as_ref().ok_or_else(missing)
    }

    /// The value, which has to be a text.
    pub(crate) fn text(&self) -> Result<&LitStr> {
        match self.value()? {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
            other => Err(Error::new_spanned(other, format!("`{}` is a text: `\"…\"`", self.name))),
        }
    }

    /// The value, which has to be a whole number of at least 1 if it is a literal.
    pub(crate) fn number(&self) -> Result<&Expr> {
        let value = self.value()?;
        let Expr::Lit(ExprLit { lit, .. }) = value else { return Ok(value) };
        let positive =
            matches!(lit, Lit::Int(number) if number.base10_parse::<u64>().is_ok_and(|n| n > 0));
        let message = || format!("`{}` is a whole number of at least 1", self.name);
        if positive { Ok(value) } else { Err(Error::new_spanned(value, message())) }
    }

    /// The value, which has to be made by code.
    pub(crate) fn code(&self, example: &str) -> Result<&Expr> {
        match self.value()? {
            literal @ Expr::Lit(_) => {
                let message = format!("`{}` is made by code, such as `{example}`", self.name);
                Err(Error::new_spanned(literal, message))
            }
            code => Ok(code),
        }
    }

    /// A word alone.
    pub(crate) fn flag(&self) -> Result<()> {
        match &self.value {
            None => Ok(()),
            Some(value) => {
                Err(Error::new_spanned(value, format!("`{}` takes no value", self.name)))
            }
        }
    }
}

/// All that an attribute gives, each of them once and each of them known.
pub(crate) fn parse(input: ParseStream<'_>, known: &[&str]) -> Result<Vec<Given>> {
    let given = Punctuated::<Given, Token![,]>::parse_terminated(input)?;
    let given: Vec<_> = given.into_iter().collect();
    check(&given, known)?;
    Ok(given)
}

/// The same over all `#[name(..)]` among the attributes.
pub(crate) fn of(attributes: &[Attribute], name: &str, known: &[&str]) -> Result<Vec<Given>> {
    let mut given = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        given.extend(attribute.parse_args_with(|input: ParseStream<'_>| parse(input, known))?);
    }
    check(&given, known)?;
    Ok(given)
}

fn check(given: &[Given], known: &[&str]) -> Result<()> {
    for (at, option) in given.iter().enumerate() {
        let name = &option.name;
        if !known.iter().any(|known| name == known) {
            let known = known.join("`, `");
            return Err(Error::new(
                name.span(),
                format!("unknown option `{name}`; there are `{known}`"),
            ));
        }
        if given[..at].iter().any(|before| before.name == *name) {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
    }
    Ok(())
}
