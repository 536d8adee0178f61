//! The C functions of object stores.

use crate::abi::{bytes_of, free_handle, guarded, guarded_call, text_of, Array};
use crate::cloud_service;
use crate::http_client::block_on;
use crate::lent_bytes::Lent;
use crate::object_store::{Object, ObjectStore};

#[repr(C)]
pub struct ObjectInfo {
    bytes: i64,
    modified_ms: i64,
    checksum: Array<u8>,
}

#[repr(C)]
pub struct ListPage {
    objects: Array<u8>,
    more: bool,
}

/// # Safety
/// See the header: `options` is readable for `length` bytes; `store` and `error` are writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_open(
    options: *const u8,
    length: usize,
    store: *mut *mut ObjectStore,
    error: *mut Array<u8>,
) -> i32 {
    guarded(store, error, || {
        let opened = cloud_service::open(text_of(options, length)?)?;
        Ok(Box::into_raw(Box::new(opened)))
    })
}

/// # Safety
/// `store` must come from `thresher_object_store_open` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_free(store: *mut ObjectStore) {
    free_handle(store);
}

/// # Safety
/// See the header: a live `store`; `key` and `bytes` readable for their lengths; writable `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_put(
    store: *const ObjectStore,
    key: *const u8,
    key_length: usize,
    bytes: *const u8,
    length: usize,
    error: *mut Array<u8>,
) -> i32 {
    guarded_call(error, || {
        let key = text_of(key, key_length)?;
        let (_lent, bytes) = Lent::new(bytes_of(bytes, length));
        block_on((*store).put(key, bytes))?
    })
}

/// # Safety
/// As for `thresher_object_store_put`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_create(
    store: *const ObjectStore,
    key: *const u8,
    key_length: usize,
    bytes: *const u8,
    length: usize,
    error: *mut Array<u8>,
) -> i32 {
    guarded_call(error, || {
        let key = text_of(key, key_length)?;
        let (_lent, bytes) = Lent::new(bytes_of(bytes, length));
        block_on((*store).create_if_absent(key, bytes))?
    })
}

/// # Safety
/// See the header: a live `store`; `key` readable for its length; writable `bytes` and `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_get(
    store: *const ObjectStore,
    key: *const u8,
    key_length: usize,
    limit: usize,
    bytes: *mut Array<u8>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(bytes, error, || {
        let key = text_of(key, key_length)?;
        let body = block_on((*store).get(key, limit))??;
        Ok(body.into())
    })
}

/// # Safety
/// See the header: a live `store`; `key` readable for its length; `out` writable for `length`
/// bytes; writable `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_get_range(
    store: *const ObjectStore,
    key: *const u8,
    key_length: usize,
    offset: u64,
    out: *mut u8,
    length: usize,
    error: *mut Array<u8>,
) -> i32 {
    guarded_call(error, || {
        let key = text_of(key, key_length)?;
        let out: &mut [u8] = match length {
            0 => &mut [],
            length => std::slice::from_raw_parts_mut(out, length),
        };
        block_on((*store).get_range(key, offset, out))?
    })
}

/// # Safety
/// See the header: a live `store`; `key` readable for its length; writable `info` and `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_stat(
    store: *const ObjectStore,
    key: *const u8,
    key_length: usize,
    info: *mut ObjectInfo,
    error: *mut Array<u8>,
) -> i32 {
    guarded(info, error, || {
        let key = text_of(key, key_length)?;
        let (object, checksum) = block_on((*store).stat(key))??;
        Ok(ObjectInfo {
            bytes: object.bytes,
            modified_ms: object.modified_ms,
            checksum: checksum.into_bytes().into(),
        })
    })
}

/// # Safety
/// See the header: a live `store`; `prefix` and `start_after` readable for their lengths; writable
/// `page` and `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_list(
    store: *const ObjectStore,
    prefix: *const u8,
    prefix_length: usize,
    start_after: *const u8,
    start_after_length: usize,
    limit: usize,
    page: *mut ListPage,
    error: *mut Array<u8>,
) -> i32 {
    guarded(page, error, || {
        let prefix = text_of(prefix, prefix_length)?;
        let start_after = bytes_of(start_after, start_after_length);
        let (objects, more) = block_on((*store).list(prefix, start_after, limit))??;
        Ok(ListPage {
            objects: packed(&objects).into(),
            more,
        })
    })
}

/// # Safety
/// See the header: a live `store`; `key` readable for its length; writable `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_object_store_delete(
    store: *const ObjectStore,
    key: *const u8,
    key_length: usize,
    error: *mut Array<u8>,
) -> i32 {
    guarded_call(error, || {
        let key = text_of(key, key_length)?;
        block_on((*store).delete(key))?
    })
}

fn packed(objects: &[Object]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for object in objects {
        bytes.extend_from_slice(&object.bytes.to_ne_bytes());
        bytes.extend_from_slice(&object.modified_ms.to_ne_bytes());
        bytes.extend_from_slice(&(object.key.len() as u64).to_ne_bytes());
        bytes.extend_from_slice(object.key.as_bytes());
    }
    bytes
}
