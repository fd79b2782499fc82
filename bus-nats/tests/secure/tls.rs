//! TLS: each side shows who it is, or there is no connection.

use std::path::PathBuf;

use bus_nats::Tls;

use super::*;

pub(crate) fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "certificates", name].iter().collect()
}

/// A server with the certificate for `localhost`, and more lines in its `tls` block.
pub(crate) fn server(more: &str) -> DevServer {
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let tls = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}, {more} }}\n");
    DevServer::start_with(&tls).unwrap()
}

/// By a host that the server's certificate names.
pub(crate) fn trusting(server: &DevServer, root: &str) -> NatsConfig {
    let mut config = config(server);
    config.servers = vec![format!("tls://localhost:{}", server.port())];
    config.auth = Auth::Token(Secret::new("s3cr3t"));
    config.tls.roots = Some(file(root));
    config
}

/// Not trusted, and said so at once.
async fn insecure(config: NatsConfig, expected: &str) {
    let begun = Instant::now();
    let error = refusal(config).await;
    assert!(matches!(error, ConnectError::Insecure { .. }), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_is_trusted_by_its_root_and_by_no_other() {
    let server = server("");
    publishes(trusting(&server, "root.pem")).await;
    let by_number = vec![server.url().replace("nats:", "tls:")];
    publishes(NatsConfig { servers: by_number, ..trusting(&server, "root.pem") }).await;
    let asked_to = vec![server.url()];
    publishes(NatsConfig { servers: asked_to, ..trusting(&server, "root.pem") }).await;

    insecure(trusting(&server, "other-root.pem"), "UnknownIssuer").await;
    let system = NatsConfig { tls: Tls::default(), ..trusting(&server, "root.pem") };
    insecure(system, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_client_shows_the_certificate_that_the_server_wants() {
    let server = server(&format!("ca_file: {:?}, verify: true", file("root.pem")));
    let with = |certificate: &str, key: &str| {
        let mut config = trusting(&server, "root.pem");
        config.tls.identity = Some((file(certificate), file(key)));
        config
    };
    publishes(with("client.pem", "client.key")).await;
    insecure(trusting(&server, "root.pem"), "CertificateRequired").await;
    insecure(with("server.pem", "server.key"), "BadCertificate").await;
    insecure(with("client.pem", "server.key"), "could not add certificate or key").await;
    insecure(with("client.pem", "README.md"), "could not load private key").await;
}

#[tokio::test]
async fn tls_comes_before_the_greeting_where_both_want_it_so() {
    let server = server("handshake_first: true");
    let mut config = trusting(&server, "root.pem");
    config.tls.first = true;
    publishes(config.clone()).await;
    config.tls.first = false;
    let error = refusal(config).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_said_in_plain_text_where_tls_is_required() {
    let server = DevServer::start().unwrap();
    let required = Tls { required: true, ..Tls::default() };
    let first = Tls { first: true, ..Tls::default() };
    for tls in [required, first] {
        insecure(NatsConfig { tls, ..config(&server) }, "corrupt message").await;
    }
}
