//! The client against a real server on loopback: what it refuses, how it stops, and what its errors
//! say.

#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use net::{AddressPolicy, HeaderValue, HttpClient, HttpLimits, HttpRequest, NetErrorKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

const CANARY: &str = "canary-5b1f";

/// 64 KiB of zeros in 96 bytes of gzip, most of them zeros too.
fn gzip_bomb() -> Vec<u8> {
    let head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xed\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a";
    let tail = b"\x6a\xeb\x8e\x97\xd7\0\0\x01\0";
    [&head[..], &[0; 63], tail].concat()
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {head}content-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

async fn serve(mut stream: TcpStream, answer: Option<Vec<u8>>) {
    let mut seen = Vec::new();
    // A TLS client speaks in other words, and gets the same answer.
    while seen.first() != Some(&0x16) && !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
        }
    }
    match answer {
        Some(answer) => drop(stream.write_all(&answer).await),
        None => std::future::pending().await,
    }
}

/// A server that gives every request the same answer, or none; with the count of its connections.
async fn server(answer: Option<Vec<u8>>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, answer.clone()));
        }
    });
    (port, connections)
}

fn local() -> HttpClient {
    HttpClient::guarded(AddressPolicy::PrivateAllowed).unwrap()
}

fn limited(limits: HttpLimits) -> HttpClient {
    HttpClient::new(Some(AddressPolicy::PrivateAllowed), limits).unwrap()
}

fn get(url: &str) -> HttpRequest {
    let mut request = HttpRequest::get(url.parse().unwrap());
    request.headers.insert("authorization", HeaderValue::from_static(CANARY));
    request
}

async fn refusal(client: &HttpClient, url: &str) -> NetErrorKind {
    client.send(get(url)).await.unwrap_err().kind()
}

#[tokio::test]
async fn answers_come_back_whole_whatever_their_status() {
    let (port, _) = server(Some(answer("418 Teapot\r\nx-request-id: 7\r\n", b"short"))).await;
    let response = local().send(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(response.status, 418);
    assert_eq!(response.header("x-request-id"), Some("7"));
    assert_eq!(&response.body[..], b"short");
    assert!(!response.is_success());
}

#[tokio::test]
async fn private_addresses_are_refused_before_anybody_is_called() {
    let (port, connections) = server(Some(answer("200 OK\r\n", b""))).await;
    let client = HttpClient::guarded(AddressPolicy::PublicOnly).unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0x7f.1",
        "2130706433",
        "0",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let kind = refusal(&client, &format!("https://{host}:{port}/")).await;
        assert_eq!(kind, NetErrorKind::RefusedAddress, "{host}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn names_reach_private_addresses_only_where_the_operator_allows_it() {
    let (port, connections) = server(Some(answer("200 OK\r\n", b"ok"))).await;
    let url = format!("http://localhost:{port}/");
    assert_eq!(local().send(get(&url)).await.unwrap().status, 200);
    assert_eq!(HttpClient::plain().unwrap().send(get(&url)).await.unwrap().status, 200);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn only_https_is_called_unless_private_addresses_are_allowed() {
    let client = HttpClient::guarded(AddressPolicy::PublicOnly).unwrap();
    for url in ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "data:,x"] {
        assert_eq!(refusal(&client, url).await, NetErrorKind::RefusedUrl, "{url}");
    }
    for url in ["ftp://127.0.0.1/", "http://user@127.0.0.1/", "http://:pw@127.0.0.1/"] {
        assert_eq!(refusal(&local(), url).await, NetErrorKind::RefusedUrl, "{url}");
    }
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let (target, reached) = server(Some(answer("200 OK\r\n", b""))).await;
    let head = format!("302 Found\r\nlocation: http://127.0.0.1:{target}/\r\n");
    let (port, _) = server(Some(answer(&head, b""))).await;
    let response = local().send(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn bodies_end_at_the_limit_and_may_be_exactly_as_large() {
    let (port, _) = server(Some(answer("200 OK\r\n", &[b'x'; 100]))).await;
    let url = format!("http://127.0.0.1:{port}/");
    let exact = limited(HttpLimits { body_bytes_max: 100, ..HttpLimits::default() });
    assert_eq!(exact.send(get(&url)).await.unwrap().body.len(), 100);
    let tight = limited(HttpLimits { body_bytes_max: 99, ..HttpLimits::default() });
    assert_eq!(refusal(&tight, &url).await, NetErrorKind::BodyTooLarge);
}

#[tokio::test]
async fn compressed_bodies_are_limited_by_what_they_become() {
    let bomb = gzip_bomb();
    assert_eq!(bomb.len(), 96);
    let (port, _) = server(Some(answer("200 OK\r\ncontent-encoding: gzip\r\n", &bomb))).await;
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(local().send(get(&url)).await.unwrap().body.len(), 65_536);
    let tight = limited(HttpLimits { body_bytes_max: 65_535, ..HttpLimits::default() });
    assert_eq!(refusal(&tight, &url).await, NetErrorKind::BodyTooLarge);
}

#[tokio::test]
async fn silence_ends_with_a_timeout() {
    let (port, _) = server(None).await;
    let total_timeout = Duration::from_millis(50);
    let client = limited(HttpLimits { total_timeout, ..HttpLimits::default() });
    let kind = refusal(&client, &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(kind, NetErrorKind::Timeout);
}

#[tokio::test]
async fn kinds_tell_nobody_there_from_no_tls_and_from_a_broken_answer() {
    let (plain, _) = server(Some(answer("200 OK\r\n", b""))).await;
    let kind = refusal(&local(), &format!("https://127.0.0.1:{plain}/")).await;
    assert_eq!(kind, NetErrorKind::Tls);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let kind = refusal(&local(), &format!("http://127.0.0.1:{closed}/")).await;
    assert_eq!(kind, NetErrorKind::Connect);

    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let (port, _) = server(Some(cut)).await;
    let total_timeout = Duration::from_secs(5);
    let client = limited(HttpLimits { total_timeout, ..HttpLimits::default() });
    let kind = refusal(&client, &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(kind, NetErrorKind::Other);
}

#[tokio::test]
async fn neither_errors_nor_debug_output_show_keys() {
    let (plain, _) = server(Some(answer("200 OK\r\n", b""))).await;
    let secret = format!("key={CANARY}");
    for url in [
        format!("https://127.0.0.1:{plain}/p?{secret}"),
        format!("http://127.0.0.1:1/p?{secret}"),
        format!("http://{CANARY}:{CANARY}@127.0.0.1/"),
        format!("gopher://127.0.0.1/?{secret}"),
        format!("http://169.254.169.254/?{secret}"),
    ] {
        let error = local().send(get(&url)).await.unwrap_err();
        let mut texts = vec![format!("{error:?}"), error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            texts.extend([format!("{cause:?}"), cause.to_string()]);
            source = cause.source();
        }
        for text in texts {
            assert!(!text.contains(CANARY), "{text}");
        }
    }
    let url =
        Url::parse(&format!("https://u:{CANARY}@example.com/path?{secret}#{CANARY}")).unwrap();
    let mut request = get(url.as_str());
    request.body = CANARY.into();
    let shown = format!("{request:?}");
    assert!(shown.contains("https://example.com/path"), "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
}
