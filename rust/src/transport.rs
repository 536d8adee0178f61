//! What carries OpenDAL's requests. The rules for every request of a cloud store:
//!
//! - It ends. Without a byte moving for `request_timeout`, or below `SLOWEST_BYTES_PER_SECOND` on
//!   the whole beyond that time, an attempt is given up.
//! - It is tried again after a lost connection, a time-out or a status that says "later", with
//!   growing pauses, until `retry_budget` after its first failure: so a store that never answers
//!   fails a request after request_timeout + retry_budget. Large uploads wait for their share of
//!   the bandwidth first, which counts as neither; small ones, on which the life of others may
//!   depend, do not wait.
//! - The one write of a create-if-absent is never tried again: a second attempt would be refused
//!   because of the success of the first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use opendal::raw::Operation;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};

use crate::http_client::{causes, is_local_host, is_metadata_host, local_client, public_client};
use crate::lent_bytes::Upload;
use crate::throttle::Throttle;

const SLOWEST_BYTES_PER_SECOND: u64 = 32 << 10;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_RESERVED_BYTES: u64 = 64 << 20; // more is reserved only when it comes
const MIN_THROTTLED_BYTES: usize = 64 << 10;
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// What all requests of one store share.
pub struct Shared {
    pub request_timeout: Duration,
    pub retry_budget: Duration,
    pub throttle: Option<Throttle>,
    /// Appended to the query of a conditional write, where the service has no such option.
    pub create_query: Option<&'static str>,
    /// Listings cannot start in the middle: never, or MinIO answered, which then leaves out keys
    /// where a folder's name begins with another's (seen with `a/`, `a-/` and `a./`).
    pub list_from_start: AtomicBool,
    /// Credentials were found once: from then on their absence is a passing trouble.
    pub reached: AtomicBool,
}

/// What a call wants of its requests, and what it learns from them.
#[derive(Default)]
pub struct Call {
    pub create: bool,
    pub keep_answer: bool,
    /// Of the object's bytes; not of the answers of those who lend credentials.
    pub body_limit: Option<usize>,
    pub clean_up: AtomicBool,
    pub tried_again: AtomicBool,
    pub too_long: AtomicBool,
    pub answer: Mutex<Option<Answer>>,
    pub refusal: Mutex<Option<Refusal>>,
}

pub struct Answer {
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The last answer that was no success, or `status` None for none at all.
pub struct Refusal {
    /// Who gives out credentials refused, not the store.
    pub of_credentials: bool,
    pub status: Option<StatusCode>,
    pub text: String,
    pub temporary: bool,
}

pub struct CallTransport {
    pub shared: Arc<Shared>,
    pub call: Arc<Call>,
}

enum Outcome {
    Answered(StatusCode, HeaderMap, Bytes),
    Lost(String),
    TooLong,
}

impl HttpTransport for CallTransport {
    async fn fetch(&self, mut request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let operation = request.extensions().get::<Operation>().copied();
        if operation.is_some() {
            self.shared.reached.store(true, Ordering::Relaxed);
            lock(&self.call.refusal).take_if(|refusal| refusal.of_credentials);
        }
        let create = self.call.create && operation == Some(Operation::Write);
        if let (true, Some(query)) = (create, self.shared.create_query) {
            *request.uri_mut() = format!("{}{query}", request.uri())
                .parse()
                .map_err(invalid)?;
        }
        let mut first_failure: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = Instant::now();
            self.wait_for_bandwidth(&request).await;
            let now = Instant::now();
            first_failure = first_failure.map(|at| at + (now - asked));
            let deadline = first_failure.map(|at| at + self.budget(&request));
            let timeout = self.timeout(&request, deadline.map(|at| at - now));
            let outcome = self.attempt(&request, timeout).await;
            let temporary = is_temporary(&outcome);
            let retry_at = Instant::now() + jittered(pause);
            let deadline = deadline.unwrap_or_else(|| Instant::now() + self.budget(&request));
            if !temporary || create || retry_at >= deadline {
                return self.finish(request, operation, outcome, temporary);
            }
            self.call.tried_again.store(true, Ordering::Relaxed);
            first_failure.get_or_insert_with(Instant::now);
            tokio::time::sleep_until(retry_at.into()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl CallTransport {
    fn budget(&self, request: &Request<Buffer>) -> Duration {
        if self.call.clean_up.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        if is_metadata_host(request.uri().host().unwrap_or_default()) {
            return self.shared.retry_budget.min(METADATA_TIMEOUT);
        }
        self.shared.retry_budget
    }

    fn timeout(&self, request: &Request<Buffer>, left: Option<Duration>) -> Duration {
        let mut timeout = self.shared.request_timeout;
        if is_metadata_host(request.uri().host().unwrap_or_default()) {
            timeout = timeout.min(METADATA_TIMEOUT);
        }
        if self.call.clean_up.load(Ordering::Relaxed) {
            timeout = timeout.min(CLEAN_UP_TIMEOUT);
        }
        timeout.min(left.unwrap_or(timeout))
    }

    async fn wait_for_bandwidth(&self, request: &Request<Buffer>) {
        if let Some(throttle) = &self.shared.throttle {
            if request.body().len() >= MIN_THROTTLED_BYTES {
                throttle.wait_for(request.body().len()).await;
            }
        }
    }

    async fn attempt(&self, request: &Request<Buffer>, timeout: Duration) -> Outcome {
        let moved = Arc::new(AtomicU64::new(0));
        let mut exchange = std::pin::pin!(self.exchange(request, moved.clone()));
        let started = Instant::now();
        let (mut last_moved, mut moved_at) = (0, started);
        loop {
            let tick = (timeout / 8).clamp(Duration::from_millis(1), Duration::from_secs(1));
            if let Ok(outcome) = tokio::time::timeout(tick, exchange.as_mut()).await {
                return outcome;
            }
            let (now, bytes) = (Instant::now(), moved.load(Ordering::Relaxed));
            if bytes != last_moved {
                (last_moved, moved_at) = (bytes, now);
            }
            let allowed = timeout + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
            if now - moved_at >= timeout || now - started >= allowed {
                let spent = (now - started).as_millis();
                return Outcome::Lost(format!("no answer after {spent} ms ({bytes} bytes moved)"));
            }
        }
    }

    async fn exchange(&self, request: &Request<Buffer>, moved: Arc<AtomicU64>) -> Outcome {
        let host = request.uri().host().unwrap_or_default();
        let client = if is_local_host(host) {
            local_client()
        } else {
            public_client()
        };
        let client = match client {
            Ok(client) => client,
            Err(message) => return Outcome::Lost(message),
        };
        let mut builder = client
            .request(request.method().clone(), request.uri().to_string())
            .headers(request.headers().clone());
        // Cut off from the lent memory when this future ends, however it ends.
        let _upload = if request.body().is_empty() {
            None
        } else {
            let (upload, body) = Upload::new(request.body().clone(), moved.clone());
            builder = builder.body(reqwest::Body::wrap(body));
            Some(upload)
        };
        let mut response = match builder.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Lost(causes(&error.without_url())),
        };
        let is_read = request.extensions().get::<Operation>() == Some(&Operation::Read);
        let limit = match self.call.body_limit {
            Some(limit) if is_read && response.status().is_success() => limit,
            _ => usize::MAX,
        };
        let length = response.content_length().unwrap_or(0);
        if length > limit as u64 {
            return Outcome::TooLong;
        }
        let mut body = Vec::with_capacity(length.min(MAX_RESERVED_BYTES) as usize);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Outcome::TooLong,
                Ok(Some(chunk)) => {
                    moved.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                Err(error) => return Outcome::Lost(causes(&error.without_url())),
            }
        }
        Outcome::Answered(response.status(), response.headers().clone(), body.into())
    }

    fn finish(
        &self,
        request: Request<Buffer>,
        operation: Option<Operation>,
        outcome: Outcome,
        temporary: bool,
    ) -> opendal::Result<Response<HttpBody>> {
        let of_credentials = operation.is_none();
        let host = request.uri().host().unwrap_or_default();
        let refuse = |status: Option<StatusCode>, text: String| {
            *lock(&self.call.refusal) = Some(Refusal {
                of_credentials,
                status,
                text,
                // A machine that is in no cloud has no metadata server: it will not come later.
                temporary: temporary && !(of_credentials && is_metadata_host(host)),
            });
        };
        match outcome {
            Outcome::Answered(mut status, headers, body) => {
                if status == StatusCode::PARTIAL_CONTENT && body.is_empty() {
                    // Azurite's answer to a range that begins where the object ends.
                    status = StatusCode::RANGE_NOT_SATISFIABLE;
                }
                let server = headers.get(http::header::SERVER);
                if server.is_some_and(|name| name.as_bytes().starts_with(b"MinIO")) {
                    self.shared.list_from_start.store(true, Ordering::Relaxed);
                }
                if !status.is_success() {
                    refuse(Some(status), refusal_text(&body));
                } else if self.call.keep_answer && operation == Some(Operation::Stat) {
                    *lock(&self.call.answer) = Some(Answer {
                        headers: headers.clone(),
                        body: body.clone(),
                    });
                }
                let stream = futures_util::stream::iter([Ok(Buffer::from(body))]);
                let mut response = Response::new(HttpBody::new(stream, None));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response.extensions_mut().insert(request.uri().clone());
                Ok(response)
            }
            Outcome::Lost(text) => {
                refuse(None, text.clone());
                Err(Error::new(ErrorKind::Unexpected, text))
            }
            Outcome::TooLong => {
                self.call.too_long.store(true, Ordering::Relaxed);
                Err(Error::new(ErrorKind::Unexpected, "the object is too long"))
            }
        }
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|lock| lock.into_inner())
}

fn invalid(error: http::uri::InvalidUri) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string())
}

fn is_temporary(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Lost(_) => true,
        Outcome::TooLong => false,
        Outcome::Answered(status, _, body) => match status.as_u16() {
            408 | 429 | 499 | 500 | 502 | 503 | 504 => true,
            // S3: a body that came too slowly; two operations on one object at the same time.
            400 | 409 => ["RequestTimeout", "OperationAborted"]
                .iter()
                .any(|code| element(body, "Code").as_deref() == Some(code)),
            _ => false,
        },
    }
}

/// Somewhere from half of `pause` to the whole, so that workers do not come back all at once.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    pause / 2 + pause.mul_f64(random as f64 / u64::MAX as f64 / 2.0)
}

/// The text of the first `<name>` in an XML document, well enough for messages.
fn element(body: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let from = text.find(&format!("<{name}>"))? + name.len() + 2;
    let until = from + text[from..].find('<')?;
    Some(text[from..until].to_owned())
}

/// What a store says about a refusal, and no more of its answer: the rest may repeat what was
/// signed.
fn refusal_text(body: &[u8]) -> String {
    if let Some(code) = element(body, "Code") {
        let message = element(body, "Message").unwrap_or_default();
        return format!("{code}: {message}");
    }
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json
        .as_ref()
        .and_then(|json| json.pointer("/error/message"));
    match message.and_then(|message| message.as_str()) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
    }
}
