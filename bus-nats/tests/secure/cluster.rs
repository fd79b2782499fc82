//! What a cluster says of its other servers is plain text, and may be anybody's word.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::*;

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Stands before a server, and adds another to its greeting, until it is cut.
struct Meddler {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// One for each connection that comes after the cut.
    late: UnboundedReceiver<()>,
    cut: Arc<AtomicBool>,
}

impl Meddler {
    fn before(server: u16, other: u16) -> Self {
        let (listener, port) = listen();
        let (tell, late) = mpsc::unbounded_channel();
        let (open, cut) = (Arc::default(), Arc::default());
        let meddler = Self { port, open: Arc::clone(&open), late, cut: Arc::clone(&cut) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if cut.load(Ordering::SeqCst) {
                    tell.send(()).unwrap_or_default();
                } else if let Ok(server) = meddle(&client, server, other) {
                    open.lock().unwrap().extend([client, server]);
                }
            }
        });
        meddler
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

fn meddle(mut client: &TcpStream, server: u16, other: u16) -> io::Result<TcpStream> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    let mut from_server = BufReader::new(server.try_clone()?);
    let mut greeting = String::new();
    from_server.read_line(&mut greeting)?;
    let named = format!("INFO {{\"connect_urls\":[\"127.0.0.1:{other}\"],");
    client.write_all(greeting.replacen("INFO {", &named, 1).as_bytes())?;
    let (mut from_client, mut to_client) = (client.try_clone()?, client.try_clone()?);
    let mut to_server = server.try_clone()?;
    thread::spawn(move || io::copy(&mut from_server, &mut to_client));
    thread::spawn(move || io::copy(&mut from_client, &mut to_server));
    Ok(server)
}

/// Greets as a server without TLS does, and keeps the first that it is told.
fn eavesdropper() -> (u16, UnboundedReceiver<Vec<u8>>) {
    let (listener, port) = listen();
    let (tell, told) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let tell: UnboundedSender<Vec<u8>> = tell.clone();
            thread::spawn(move || {
                client.write_all(b"INFO {\"version\":\"2.15.1\",\"max_payload\":1024}\r\n")?;
                let mut first = vec![0; 1024];
                let length = client.read(&mut first)?;
                first.truncate(length);
                tell.send(first).map_err(io::Error::other)
            });
        }
    });
    (port, told)
}

/// Connects through a meddler, which is then cut off.
async fn cut_off(server: &DevServer, config: NatsConfig, other: u16) -> (NatsTransport, Meddler) {
    let meddler = Meddler::before(server.port(), other);
    let servers =
        vec![config.servers[0].replace(&server.port().to_string(), &meddler.port.to_string())];
    let transport = NatsTransport::connect(NatsConfig { servers, ..config }).await.unwrap();
    meddler.cut();
    (transport, meddler)
}

#[tokio::test]
async fn a_server_that_only_the_cluster_named_is_told_nothing_in_plain_text() {
    let server = DevServer::start().unwrap();
    let (port, mut told) = eavesdropper();
    let (_transport, mut meddler) = cut_off(&server, config(&server), port).await;
    for _ in 0..3 {
        timeout(PATIENCE, meddler.late.recv()).await.unwrap().unwrap();
    }
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn tls_is_spoken_also_with_a_server_that_only_the_cluster_named() {
    let server = tls::server("");
    let (port, mut told) = eavesdropper();
    let config = tls::trusting(&server, "root.pem");
    let (_transport, _meddler) = cut_off(&server, config, port).await;
    let first = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert!(first.starts_with(&[0x16, 0x03]), "{}", String::from_utf8_lossy(&first));
}
