//! What every function of the C interface needs.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};

pub const OK: i32 = 0;
pub const INVALID: i32 = 1;
pub const PANICKED: i32 = 2;
pub const NOT_FOUND: i32 = 3;
pub const REFUSED: i32 = 4;
pub const DENIED: i32 = 5;
pub const UNAVAILABLE: i32 = 6;
pub const TOO_SHORT: i32 = 7;
pub const TOO_LONG: i32 = 8;
pub const REJECTED: i32 = 9;
pub const NO_CREDENTIALS: i32 = 10;
pub const DAMAGED: i32 = 11;

/// Why a function gives no value: one of the outcomes above and a text for people.
#[derive(Debug)]
pub struct Failure {
    pub outcome: i32,
    pub message: String,
}

impl Failure {
    pub fn new(outcome: i32, message: impl Into<String>) -> Self {
        Failure {
            outcome,
            message: message.into(),
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::new(INVALID, message)
    }
}

/// A heap array handed to the caller, who gives it back to the function that frees its kind.
#[repr(C)]
pub struct Array<T> {
    data: *mut T,
    length: usize,
}

impl<T> From<Vec<T>> for Array<T> {
    fn from(values: Vec<T>) -> Self {
        let values = Box::leak(values.into_boxed_slice());
        Array {
            data: values.as_mut_ptr(),
            length: values.len(),
        }
    }
}

impl<T> Array<T> {
    /// # Safety
    /// `self` must come from `From<Vec<T>>` and be released once, or have a null pointer.
    unsafe fn release(self) {
        if !self.data.is_null() {
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
                self.data,
                self.length,
            )));
        }
    }
}

/// Borrows the caller's bytes; an empty slice for length 0 whatever the pointer.
///
/// # Safety
/// `data` must point to `length` readable bytes that outlive the returned slice.
pub unsafe fn bytes_of<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, length)
    }
}

/// As `bytes_of`, checked to be UTF-8.
///
/// # Safety
/// As for `bytes_of`.
pub unsafe fn text_of<'a>(data: *const u8, length: usize) -> Result<&'a str, String> {
    std::str::from_utf8(bytes_of(data, length)).map_err(|error| error.to_string())
}

/// Runs `body` and writes its value to `*value` or its error to `*error`. A panic ends here.
///
/// # Safety
/// Both pointers must be writable; what they point to is overwritten, not released.
pub unsafe fn guarded<T>(
    value: *mut T,
    error: *mut Array<u8>,
    body: impl FnOnce() -> Result<T, Failure>,
) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => {
            value.write(result);
            OK
        }
        Ok(Err(failure)) => {
            error.write(failure.message.into_bytes().into());
            failure.outcome
        }
        Err(payload) => {
            error.write(panic_message(payload.as_ref()).into_bytes().into());
            PANICKED
        }
    }
}

pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

/// As `guarded`, for functions without a value.
///
/// # Safety
/// As for `guarded`.
pub unsafe fn guarded_call(
    error: *mut Array<u8>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> i32 {
    guarded(&mut (), error, body)
}

/// Frees an object that a `..._new` function made. Does nothing for null.
///
/// # Safety
/// `handle` must come from `Box::into_raw` and be freed once.
pub unsafe fn free_handle<T>(handle: *mut T) {
    if !handle.is_null() {
        // A panic in a destructor must not cross the interface; what it leaks is lost.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(handle))));
    }
}

/// # Safety
/// `bytes` must come from this library and be freed once.
#[no_mangle]
pub unsafe extern "C" fn thresher_bytes_free(bytes: Array<u8>) {
    bytes.release();
}

/// # Safety
/// `ids` must come from this library and be freed once.
#[no_mangle]
pub unsafe extern "C" fn thresher_ids_free(ids: Array<u32>) {
    ids.release();
}

/// # Safety
/// `offsets` must come from this library and be freed once.
#[no_mangle]
pub unsafe extern "C" fn thresher_offsets_free(offsets: Array<u64>) {
    offsets.release();
}

/// The number of bytes before the first one that is not valid UTF-8; `length` if there is none.
///
/// # Safety
/// `bytes` must point to `length` readable bytes, or `length` must be 0.
#[no_mangle]
pub unsafe extern "C" fn thresher_utf8_valid_prefix(bytes: *const u8, length: usize) -> usize {
    match std::str::from_utf8(bytes_of(bytes, length)) {
        Ok(_) => length,
        Err(error) => error.valid_up_to(),
    }
}
