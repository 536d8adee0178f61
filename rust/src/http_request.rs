//! Single requests with answers of bounded size: to the metadata servers of clouds, to hubs of models.

use std::time::Duration;

use crate::abi::{guarded, text_of, Array, Failure, INVALID, TOO_LONG, UNAVAILABLE};
use crate::http_client::{block_on, causes, is_local_host, local_client, public_client};

/// A server that sends nothing for so long, before an answer or in its middle, is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// `body`: the answer's headers, each as "name: value\n", an empty line and then the body itself.
#[repr(C)]
pub struct HttpResponse {
    status: i64,
    body: Array<u8>,
}

/// # Safety
/// See the header: texts are readable for their lengths; `response` and `error` are writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_http_request(
    request: *const u8,
    request_length: usize,
    timeout_ms: i64,
    body_limit: usize,
    response: *mut HttpResponse,
    error: *mut Array<u8>,
) -> i32 {
    guarded(response, error, || {
        let request = text_of(request, request_length)?;
        send(request, timeout_ms, body_limit)
    })
}

fn send(request: &str, timeout_ms: i64, body_limit: usize) -> Result<HttpResponse, Failure> {
    let mut lines = request.split('\n');
    let method = lines.next().unwrap_or_default();
    let url = reqwest::Url::parse(lines.next().unwrap_or_default())
        .map_err(|error| Failure::new(INVALID, format!("not a URL: {error}")))?;
    let client = if is_local_host(url.host_str().unwrap_or_default()) {
        local_client()?
    } else {
        public_client()?
    };
    let method = reqwest::Method::from_bytes(method.as_bytes())
        .map_err(|error| Failure::new(INVALID, format!("not an HTTP method: {error}")))?;
    let mut builder = client.request(method, url);
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        builder = builder.header(name, value);
    }
    let request = builder
        .build()
        .map_err(|error| Failure::new(INVALID, causes(&error.without_url())))?;
    let timeout = Duration::from_millis(timeout_ms.max(1) as u64);
    block_on(async {
        match tokio::time::timeout(timeout, exchange(&client, request, body_limit)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(
                UNAVAILABLE,
                format!("no answer within {timeout_ms} ms"),
            )),
        }
    })?
}

async fn exchange(
    client: &reqwest::Client,
    request: reqwest::Request,
    body_limit: usize,
) -> Result<HttpResponse, Failure> {
    let lost = |error: reqwest::Error| Failure::new(UNAVAILABLE, causes(&error.without_url()));
    let stalled = |_| {
        let seconds = STALL_TIMEOUT.as_secs();
        Failure::new(UNAVAILABLE, format!("nothing came for {seconds} s"))
    };
    let mut response = tokio::time::timeout(STALL_TIMEOUT, client.execute(request))
        .await
        .map_err(stalled)?
        .map_err(lost)?;
    let status = i64::from(response.status().as_u16());
    let mut answer = Vec::new();
    for (name, value) in response.headers() {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.push(b'\n');
    }
    answer.push(b'\n');
    let head_length = answer.len();
    let announced = response.content_length().unwrap_or_default() as usize;
    answer.reserve_exact(announced.min(body_limit));
    while let Some(chunk) = tokio::time::timeout(STALL_TIMEOUT, response.chunk())
        .await
        .map_err(stalled)?
        .map_err(lost)?
    {
        if answer.len() - head_length + chunk.len() > body_limit {
            return Err(Failure::new(
                TOO_LONG,
                format!("the answer has more than {body_limit} bytes"),
            ));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(HttpResponse {
        status,
        body: answer.into(),
    })
}
