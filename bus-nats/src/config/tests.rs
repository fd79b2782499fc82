//! What a configuration is refused for, and what the environment says.

use super::*;

fn with(servers: &[&str]) -> NatsConfig {
    let servers = servers.iter().map(|text| (*text).to_owned()).collect();
    NatsConfig { servers, ..NatsConfig::default() }
}

#[test]
fn plain_text_leaves_this_machine_only_where_a_host_is_named_for_it() {
    for address in [
        "nats://127.0.0.1:4222",
        "nats://[::1]:4222",
        "localhost",
        "nats://LocalHost:1",
        "127.7.7.7:1",
    ] {
        assert!(with(&[address]).check().is_ok(), "{address}");
    }
    for address in [
        "nats://10.0.0.7:4222",
        "nats.example.com",
        "nats://localhost.example.com",
        "nats://0.0.0.0",
        "nats://[2001:db8::1]",
        "nats://[::ffff:10.0.0.7]",
    ] {
        let error = with(&[address]).check().unwrap_err();
        assert!(matches!(error, ConfigError::Plaintext { .. }), "{address}: {error}");
    }
    assert!(with(&["tls://nats.example.com"]).check().is_ok());
    let mut config = with(&["nats.example.com"]);
    config.plaintext_hosts = vec!["NATS.example.com".into()];
    assert!(config.check().is_ok());
    let mut config = with(&["nats.example.com"]);
    config.tls.required = true;
    assert!(config.check().is_ok());
    // One that is not allowed is enough.
    let error = with(&["tls://a.example.com", "nats://b.example.com"]).check().unwrap_err();
    assert_eq!(error, ConfigError::Plaintext { host: "b.example.com".into() });
}

#[test]
fn what_is_no_address_is_refused_without_repeating_it() {
    for address in
        ["", "http://h", "nats://", "ws://127.0.0.1", "127.0.0.1:1,127.0.0.1:2", "nats://h:port"]
    {
        let error = with(&[address]).check().unwrap_err();
        assert!(matches!(error, ConfigError::Server { at: 1, .. }), "{address}: {error}");
    }
    for address in
        ["nats://s3cr3t@127.0.0.1", "nats://me:s3cr3t@127.0.0.1", "nats://:s3cr3t@127.0.0.1"]
    {
        let error = with(&["127.0.0.1", address]).check().unwrap_err();
        assert_eq!(error, ConfigError::Credentials { at: 2 }, "{address}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    }
    assert_eq!(with(&[]).check().unwrap_err(), ConfigError::NoServers);
}

#[test]
fn what_the_server_would_refuse_is_refused_before() {
    let streams = |change: fn(&mut Streams)| {
        let mut config = NatsConfig::default();
        change(&mut config.streams);
        config.check().unwrap_err().to_string()
    };
    assert!(streams(|s| s.replicas = 0).starts_with("`streams.replicas` can not be 0"));
    assert!(streams(|s| s.max_consumers = 0).starts_with("`streams.max_consumers` can not be 0"));
    assert!(
        streams(|s| s.max_age = Duration::ZERO).starts_with("`streams.max_age` can not be 0ns")
    );
    let longer = streams(|s| s.duplicate_window = s.max_age * 2);
    assert!(longer.starts_with("`streams.duplicate_window` can not be"), "{longer}");
    let config = NatsConfig { name: "Billing Service".into(), ..NatsConfig::default() };
    assert!(matches!(config.check().unwrap_err(), ConfigError::Name { .. }));
    let tls = Tls { roots: Some("no/such/file.pem".into()), ..Tls::default() };
    let error = NatsConfig { tls, ..NatsConfig::default() }.check().unwrap_err();
    assert!(matches!(error, ConfigError::File { what: "`tls.roots`", .. }), "{error}");
}

fn environment(variables: &[(&str, &str)]) -> Result<NatsConfig, ConfigError> {
    let find = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    env::read(find)
}

#[test]
fn the_environment_says_it_in_words_of_its_own() {
    let config = environment(&[
        ("NATS_URL", "tls://a:4222, tls://b:4222"),
        ("NATS_NAME", "billing"),
        ("NATS_USER", "me"),
        ("NATS_PASSWORD", "s3cr3t"),
        ("NATS_TLS_CERT", "cert.pem"),
        ("NATS_TLS_KEY", "key.pem"),
        ("NATS_PLAINTEXT_HOSTS", "c,d"),
    ]);
    let config = config.unwrap();
    assert_eq!(
        (config.servers, config.name.as_str()),
        (vec!["tls://a:4222".into(), "tls://b:4222".into()], "billing")
    );
    assert_eq!(config.tls.identity, Some(("cert.pem".into(), "key.pem".into())));
    assert_eq!(config.plaintext_hosts, ["c", "d"]);
    let Auth::User { name, password } = &config.auth else { unreachable!("{:?}", config.auth) };
    assert_eq!((name.as_str(), password.expose()), ("me", "s3cr3t"));
    assert!(!format!("{:?}", config.auth).contains("s3cr3t"));
    let empty = environment(&[("NATS_URL", ""), ("NATS_TOKEN", "")]).unwrap();
    assert_eq!(empty.servers, NatsConfig::default().servers);
    assert!(matches!(empty.auth, Auth::None));
}

#[test]
fn two_ways_to_say_who_we_are_are_one_too_many() {
    let error = environment(&[("NATS_USER", "me"), ("NATS_TOKEN", "s3cr3t")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment has NATS_USER and NATS_TOKEN, and one of them is enough"
    );
    let error = environment(&[("NATS_TLS_CERT", "cert.pem")]).unwrap_err();
    assert!(matches!(error, ConfigError::Variables { .. }), "{error}");
    let keyed = environment(&[("NATS_NKEY", "SU…")]);
    assert_eq!(keyed.is_ok(), cfg!(feature = "nkeys"), "{keyed:?}");
}
