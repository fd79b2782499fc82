//! A configuration from variables.

use super::{Auth, ConfigError, NatsConfig, Secret};

/// Reads through `var`, so that tests need not touch the process's own environment.
pub(super) fn read(var: impl Fn(&str) -> Option<String>) -> Result<NatsConfig, ConfigError> {
    let var = |name: &str| var(name).filter(|text| !text.is_empty());
    let list = |text: String| text.split(',').map(|part| part.trim().to_owned()).collect();
    let mut config = NatsConfig { auth: auth(&var)?, ..NatsConfig::default() };
    if let Some(text) = var("NATS_URL") {
        config.servers = list(text);
    }
    if let Some(text) = var("NATS_NAME") {
        config.name = text;
    }
    if let Some(text) = var("NATS_PLAINTEXT_HOSTS") {
        config.plaintext_hosts = list(text);
    }
    config.tls.roots = var("NATS_TLS_ROOTS").map(Into::into);
    config.tls.identity = match (var("NATS_TLS_CERT"), var("NATS_TLS_KEY")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => {
            let given = "one of NATS_TLS_CERT and NATS_TLS_KEY".to_owned();
            return Err(ConfigError::Variables { given, reason: "and they belong together" });
        }
    };
    Ok(config)
}

/// One way to say who we are; two would hide a mistake.
fn auth(var: &impl Fn(&str) -> Option<String>) -> Result<Auth, ConfigError> {
    let names = ["NATS_USER", "NATS_TOKEN", "NATS_NKEY", "NATS_CREDS"];
    let given: Vec<_> = names.into_iter().filter(|name| var(name).is_some()).collect();
    if given.len() > 1 {
        let given = given.join(" and ");
        return Err(ConfigError::Variables { given, reason: "and one of them is enough" });
    }
    let text = given.first().and_then(|name| var(name)).unwrap_or_default();
    match given.first() {
        None => Ok(Auth::None),
        Some(&"NATS_USER") => {
            let password = Secret::new(var("NATS_PASSWORD").unwrap_or_default());
            Ok(Auth::User { name: text, password })
        }
        Some(&"NATS_TOKEN") => Ok(Auth::Token(Secret::new(text))),
        #[cfg(feature = "nkeys")]
        Some(&"NATS_NKEY") => Ok(Auth::NKey(Secret::new(text))),
        #[cfg(feature = "nkeys")]
        Some(&"NATS_CREDS") => Ok(Auth::Credentials(text.into())),
        Some(name) => {
            let (given, reason) = ((*name).to_owned(), "which needs the feature `nkeys`");
            Err(ConfigError::Variables { given, reason })
        }
    }
}
