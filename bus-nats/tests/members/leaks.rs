//! What ends lets go of its connection.

use super::*;

fn connections(port: u16) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /connz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, rest) = answer.split_once("\"num_connections\":").unwrap();
    rest.trim_start().split([',', '\n']).next().unwrap().trim().parse().unwrap()
}

async fn closes(bench: Bench, port: u16) {
    let Bench { server, raw, transport } = bench;
    drop(transport);
    for _ in 0..100 {
        if connections(port) == 1 {
            drop((server, raw));
            return;
        }
        sleep(SECOND / 10).await;
    }
    panic!("{} connections are open", connections(port));
}

async fn monitored() -> (Bench, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (Bench::with(&format!("http: \"127.0.0.1:{port}\"\n")).await, port)
}

#[tokio::test]
async fn a_transport_that_is_dropped_closes_its_connection() {
    let (bench, port) = monitored().await;
    bench.publish(0..3).await;
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    let delivery = next(&mut deliveries).await;
    drop((deliveries, delivery));
    closes(bench, port).await;
}

#[tokio::test]
async fn a_transport_whose_streams_were_deleted_closes_its_connection() {
    let (bench, port) = monitored().await;
    bench.publish(0..1).await;
    let mut deliveries = bench.subscribe(&group(SECOND)).await;
    next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();
    for stream in ["ORDERS", "BUS_RETRY"] {
        bench.raw.delete_stream(stream).await.unwrap();
    }
    ends(&mut deliveries).await;
    // Both of its consumers have to be missed.
    sleep(8 * SECOND).await;
    drop(deliveries);
    closes(bench, port).await;
}
