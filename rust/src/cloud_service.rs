//! Opens OpenDAL's services from the settings that the caller chose.

use std::time::Duration;

use opendal::raw::Servicer;
use opendal::services::{Azblob, AZBLOB_SCHEME, GCS_SCHEME, S3_SCHEME};
use opendal::{services, Operator};
use serde_json::{Map, Value};

use crate::abi::{Failure, INVALID, UNAVAILABLE};
use crate::http_client::{block_on, causes, public_client};
use crate::object_store::{ObjectStore, Service};
use crate::throttle::Throttle;
use crate::transport::Shared;

const DETECT_REGION_TIMEOUT: Duration = Duration::from_secs(20);

/// `options`: see thresher_object_store_open in the header.
pub fn open(options: &str) -> Result<ObjectStore, Failure> {
    let options: Value = serde_json::from_str(options)
        .map_err(|error| Failure::new(INVALID, format!("store options: {error}")))?;
    let empty = Map::new();
    let settings = options["settings"].as_object().unwrap_or(&empty);
    let scheme = options["service"].as_str().unwrap_or_default();
    let (service, operator) = match scheme {
        GCS_SCHEME => (
            Service::Gcs,
            Operator::from_iter::<services::Gcs>(pairs(settings)),
        ),
        S3_SCHEME => (Service::S3, open_s3(settings)?),
        AZBLOB_SCHEME => (Service::Azblob, open_azblob(&options, settings)),
        _ => {
            let message = format!("no object store service is called \"{scheme}\"");
            return Err(Failure::new(INVALID, message));
        }
    };
    let operator = operator.map_err(|error| Failure::new(INVALID, error.message()))?;
    Ok(ObjectStore {
        // Below the operator's own layers, which would trim and normalise keys.
        servicer: Servicer::clone(operator.base_service()),
        service,
        part_bytes: number(&options, "part_bytes")? as usize,
        parallel: number(&options, "parallel_parts")?.max(1) as usize,
        shared: Shared {
            request_timeout: Duration::from_millis(number(&options, "request_timeout_ms")?.max(1)),
            retry_budget: Duration::from_millis(number(&options, "retry_budget_ms")?),
            throttle: match number(&options, "upload_bytes_per_second")? {
                0 => None,
                rate => Some(Throttle::new(rate)),
            },
            // OpenDAL would open an upload session first: two requests instead of one.
            create_query: (service == Service::Gcs).then_some("&ifGenerationMatch=0"),
            list_from_start: (service == Service::Azblob).into(),
            reached: false.into(),
        }
        .into(),
        paused: None.into(),
    })
}

fn open_s3(settings: &Map<String, Value>) -> Result<opendal::Result<Operator>, Failure> {
    let mut settings = settings.clone();
    if !settings.contains_key("region") {
        let bucket = settings
            .get("bucket")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let region = detect_region(bucket)?;
        settings.insert("region".to_owned(), region.into());
    }
    Ok(Operator::from_iter::<services::S3>(pairs(&settings)))
}

fn open_azblob(options: &Value, settings: &Map<String, Value>) -> opendal::Result<Operator> {
    let Some(connection) = options["connection_string"].as_str() else {
        return Operator::from_iter::<services::Azblob>(pairs(settings));
    };
    let mut builder = Azblob::from_connection_string(connection)?;
    if let Some(container) = settings.get("container").and_then(Value::as_str) {
        builder = builder.container(container);
    }
    if let Some(endpoint) = settings.get("endpoint").and_then(Value::as_str) {
        builder = builder.endpoint(endpoint);
    }
    Operator::new(builder)
}

/// AWS tells a bucket's region to anybody who asks, whatever the status of its answer.
fn detect_region(bucket: &str) -> Result<String, Failure> {
    let trouble = |text: String| {
        Failure::new(
            UNAVAILABLE,
            format!("cannot find the region of bucket \"{bucket}\" ({text}); set AWS_REGION"),
        )
    };
    let client = public_client()?;
    // A request with a time limit can be made only where its timer runs.
    let answer = block_on(async {
        client
            .head(format!("https://s3.amazonaws.com/{bucket}"))
            .timeout(DETECT_REGION_TIMEOUT)
            .send()
            .await
    })?;
    let response = answer.map_err(|error| trouble(causes(&error.without_url())))?;
    match response.headers().get("x-amz-bucket-region") {
        Some(region) => Ok(String::from_utf8_lossy(region.as_bytes()).into_owned()),
        None => Err(trouble(format!("HTTP {}", response.status().as_u16()))),
    }
}

fn pairs(settings: &Map<String, Value>) -> Vec<(String, String)> {
    settings
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn number(options: &Value, name: &str) -> Result<u64, Failure> {
    options[name].as_u64().ok_or_else(|| {
        let message = format!("store option {name}: expected a number of 0 or more");
        Failure::new(INVALID, message)
    })
}
