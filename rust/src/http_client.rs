//! The threads and the HTTP clients of this process. Made when first needed.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::Client;
use tokio::runtime::{Builder, Runtime};

use crate::broken_pipe;

const WORKER_THREADS: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const LINK_LOCAL_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs `future` to its end, in this thread as far as it does not wait.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, String> {
    let runtime = runtime()?;
    let _blocked = broken_pipe::Blocked::new();
    Ok(runtime.block_on(future))
}

/// Drives every connection.
fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(WORKER_THREADS)
                .thread_name("thresher-http")
                .on_thread_start(broken_pipe::block_in_this_thread)
                .enable_all()
                .build()
                .map_err(|error| format!("cannot start the threads for HTTP: {error}"))
        })
        .as_ref()
        .map_err(Clone::clone)
}

/// The client for addresses anywhere: proxies as the environment says.
pub fn public_client() -> Result<Client, String> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    client_in(&CLIENT, |builder| {
        builder
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(30))
    })
}

/// The client for this machine and its metadata server: no proxy may stand in between.
pub fn local_client() -> Result<Client, String> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    client_in(&CLIENT, |builder| {
        builder
            .connect_timeout(LINK_LOCAL_CONNECT_TIMEOUT)
            .no_proxy()
    })
}

/// True for the servers that tell a cloud machine about itself and lend it credentials.
pub fn is_metadata_host(host: &str) -> bool {
    host == "metadata.google.internal"
        || host == "metadata"
        || host.starts_with("169.254.")
        || host.starts_with("[fe80:")
        || host.starts_with("[fd00:ec2:")
}

/// True for addresses that no proxy can reach in our place.
pub fn is_local_host(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.") || is_metadata_host(host)
}

fn client_in(
    cell: &OnceLock<Result<Client, String>>,
    settings: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Client, String> {
    cell.get_or_init(|| {
        // Fails where another provider was chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirected request would carry a signature made for another address.
        settings(Client::builder().redirect(Policy::none()))
            .build()
            .map_err(|error| format!("cannot make an HTTP client: {}", causes(&error)))
    })
    .clone()
}

/// An error and all that caused it, as one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
