//! The rules of subjects for literals, with their spans. `bus-core` holds the same rules in
//! `const`; a test there drives one table of literals through both.

use syn::{Error, LitStr, Result};

/// The fields of a template in order.
pub(crate) fn fields(literal: &LitStr) -> Result<Vec<String>> {
    let text = literal.value();
    let fail = |message: String| Err(Error::new(literal.span(), message));
    if text.len() > 1024 {
        return fail("a subject has at most 1024 bytes".to_owned());
    }
    let tokens: Vec<_> = text.split('.').collect();
    if let [_] = tokens[..] {
        return fail("a subject needs at least two tokens, such as `orders.placed`".to_owned());
    }
    let mut fields = Vec::new();
    for (at, token) in tokens.into_iter().enumerate() {
        if token.is_empty() {
            return fail(format!("token {} of the subject is empty", at + 1));
        }
        if at == 0 && !is_stream(token) {
            let rule = "the first token names the stream: a lower case letter, then `a-z`, `0-9`, `-`, `_`";
            return fail(format!("{rule}; not `{token}`"));
        }
        if token.contains(['*', '>']) {
            return fail(format!("`{token}` has a wildcard; a field is written `{{name}}`"));
        }
        if token.chars().any(|c| c.is_ascii_control() || c == ' ') {
            return fail(format!("token {} has white space or a control character", at + 1));
        }
        if let Some(field) = token.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && is_name(field)
        {
            fields.push(field.to_owned());
            continue;
        }
        if token.contains(['{', '}']) {
            return fail(format!("a field is a whole token, such as `{{region}}`; not `{token}`"));
        }
    }
    Ok(fields)
}

/// The subject without its fields: the default name of the type.
pub(crate) fn type_name(subject: &str) -> String {
    subject.split('.').filter(|token| !token.starts_with('{')).collect::<Vec<_>>().join(".")
}

fn is_stream(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_lowercase())
        && token.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'))
}

fn is_name(field: &str) -> bool {
    !field.is_empty() && field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
