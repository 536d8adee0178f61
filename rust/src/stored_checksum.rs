//! The checksum that a store computed over an object's bytes, from its answer to a stat.

use crate::object_store::Service;
use crate::transport::Answer;

/// "crc32c:<8 hex digits>", else "md5:<32 hex digits>", else None. S3 gives none here: it tells its
/// CRC-32C only to requests that ask in a signed header, which OpenDAL does not send, and an ETag
/// is an MD5 under some settings of some servers only. There, every request that writes carries the
/// CRC-32C of its body instead, and the server refuses what does not fit.
pub fn stored_checksum(service: Service, answer: &Answer) -> Option<String> {
    match service {
        Service::Gcs => {
            // GCS has no MD5 of objects that were uploaded in parts.
            let object: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
            text("crc32c", object["crc32c"].as_str(), 4)
                .or_else(|| text("md5", object["md5Hash"].as_str(), 16))
        }
        Service::S3 => None,
        Service::Azblob => {
            let header = answer.headers.get("content-md5");
            text("md5", header.and_then(|value| value.to_str().ok()), 16)
        }
    }
}

fn text(name: &str, base64: Option<&str>, bytes: usize) -> Option<String> {
    let digest = decode_base64(base64?)?;
    if digest.len() != bytes {
        return None;
    }
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{name}:{digits}"))
}

/// RFC 4648 section 4.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|&other| other == letter)? as u32;
        bits = bits << 6 | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
