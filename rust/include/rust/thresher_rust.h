#ifndef THRESHER_RUST_THRESHER_RUST_H_
#define THRESHER_RUST_THRESHER_RUST_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Rules for every function below. No exception and no panic crosses this interface. Texts are
// UTF-8 with a length, without a final zero; a length of 0 goes with any pointer. A function that
// can fail returns an outcome; it writes its value only with THRESHER_OK and `*error` (text that
// the caller frees) only otherwise. Objects are immutable: any number of threads may use one at a
// time.

enum {
  THRESHER_OK = 0,
  THRESHER_INVALID = 1,   // the input is wrong
  THRESHER_PANICKED = 2,  // a mistake in the library; the object is still usable
  // Of requests only:
  THRESHER_NOT_FOUND = 3,
  THRESHER_REFUSED = 4,      // an object of that name exists
  THRESHER_DENIED = 5,       // the credentials do not suffice
  THRESHER_UNAVAILABLE = 6,  // no answer, or "later"
  THRESHER_TOO_SHORT = 7,    // the object ends before the range does
  THRESHER_TOO_LONG = 8,     // the answer is longer than asked for
  THRESHER_REJECTED = 9,     // the server says no for another reason
  THRESHER_NO_CREDENTIALS = 10,
  // Of files only:
  THRESHER_DAMAGED = 11,  // the bytes are not those that were written once
};

// Memory of this library, given to the caller, who frees it once with the function below it.
typedef struct ThresherBytes {
  uint8_t* data;
  size_t length;
} ThresherBytes;
void thresher_bytes_free(ThresherBytes bytes);

typedef struct ThresherIds {
  uint32_t* data;
  size_t length;
} ThresherIds;
void thresher_ids_free(ThresherIds ids);

typedef struct ThresherOffsets {
  uint64_t* data;
  size_t length;
} ThresherOffsets;
void thresher_offsets_free(ThresherOffsets offsets);

// CRC-32C of A followed by `bytes`, given `crc` of A.
uint32_t thresher_crc32c_extend(uint32_t crc, const uint8_t* bytes, size_t length);

// CRC-32C of A followed by B from both checksums and the length of B.
uint32_t thresher_crc32c_combine(uint32_t crc_a, uint32_t crc_b, size_t length_b);

// The number of bytes before the first one that is not valid UTF-8; `length` if there is none.
size_t thresher_utf8_valid_prefix(const uint8_t* bytes, size_t length);

// A digest of bytes that come in parts: SHA-256, or SHA-1. One thread at a time. Finishing gives
// the digest's bytes and begins anew.
typedef struct ThresherDigest ThresherDigest;
ThresherDigest* thresher_digest_new(bool sha256);
void thresher_digest_free(ThresherDigest* digest);
void thresher_digest_update(ThresherDigest* digest, const uint8_t* bytes, size_t length);
ThresherBytes thresher_digest_finish(ThresherDigest* digest);

// A tokenizer from the text of a tokenizer.json. Truncation and padding of the file are ignored.
typedef struct ThresherTokenizer ThresherTokenizer;
int32_t thresher_tokenizer_new(const uint8_t* json, size_t length, ThresherTokenizer** tokenizer,
                               ThresherBytes* error);
void thresher_tokenizer_free(ThresherTokenizer* tokenizer);
int32_t thresher_tokenizer_encode(const ThresherTokenizer* tokenizer, const uint8_t* text,
                                  size_t length, bool add_special_tokens, ThresherIds* ids,
                                  ThresherBytes* error);

// The ids of the added tokens that the file calls special, ascending.
ThresherIds thresher_tokenizer_special_ids(const ThresherTokenizer* tokenizer);

// The id that the post-processor puts in front; -1 if it puts none.
int64_t thresher_tokenizer_bos(const ThresherTokenizer* tokenizer);

// Three arrays of the same length, each freed by the function of its kind.
typedef struct ThresherEncoding {
  ThresherIds ids;
  ThresherOffsets begins;  // the byte of the text where the token's text begins
  ThresherBytes special;   // 1 if it is special, else 0
} ThresherEncoding;
int32_t thresher_tokenizer_encode_with_offsets(const ThresherTokenizer* tokenizer,
                                               const uint8_t* text, size_t length,
                                               bool add_special_tokens, ThresherEncoding* encoding,
                                               ThresherBytes* error);

// A chat template from its Jinja text and a JSON object of the special tokens (variable name to
// text) that it may refer to. `now_unix_seconds` is what its strftime_now tells, in UTC.
typedef struct ThresherChatTemplate ThresherChatTemplate;
int32_t thresher_chat_template_new(const uint8_t* source, size_t source_length,
                                   const uint8_t* special_tokens, size_t special_tokens_length,
                                   int64_t now_unix_seconds, ThresherChatTemplate** chat_template,
                                   ThresherBytes* error);
void thresher_chat_template_free(ThresherChatTemplate* chat_template);

// `messages`: a JSON array of objects.
int32_t thresher_chat_template_render(const ThresherChatTemplate* chat_template,
                                      const uint8_t* messages, size_t messages_length,
                                      bool add_generation_prompt, ThresherBytes* text,
                                      ThresherBytes* error);

// A Jinja template in the same environment, but without a clock and with undefined variables as
// errors. `name` stands before the line in messages. `context`: a JSON object of its variables.
typedef struct ThresherJinjaTemplate ThresherJinjaTemplate;
int32_t thresher_jinja_template_new(const uint8_t* source, size_t source_length,
                                    const uint8_t* name, size_t name_length,
                                    ThresherJinjaTemplate** jinja_template, ThresherBytes* error);
void thresher_jinja_template_free(ThresherJinjaTemplate* jinja_template);
int32_t thresher_jinja_template_render(const ThresherJinjaTemplate* jinja_template,
                                       const uint8_t* context, size_t context_length,
                                       ThresherBytes* text, ThresherBytes* error);

// The bytes of a file, lent for one call: any thread may use them during it. `mapped`: all of them
// in memory, or null. `read` copies `length` bytes from `offset` on to `to` and returns 0; anything
// else ends the call with an error whose text means nothing: the lender knows what happened.
typedef struct ThresherByteSource {
  const void* context;
  uint64_t bytes;
  const uint8_t* mapped;
  int32_t (*read)(const void* context, uint64_t offset, uint8_t* to, size_t length);
} ThresherByteSource;

// A Parquet file. `columns`: a JSON array of the names of the top-level columns to read; all for an
// empty one.
typedef struct ThresherParquet ThresherParquet;
int32_t thresher_parquet_open(ThresherByteSource source, const uint8_t* columns,
                              size_t columns_length, ThresherParquet** file, ThresherBytes* error);
void thresher_parquet_free(ThresherParquet* file);

// A JSON object: "row_groups" is an array of their numbers of rows, "columns" one of [name, type]
// of all columns of the file.
int32_t thresher_parquet_describe(const ThresherParquet* file, ThresherBytes* text,
                                  ThresherBytes* error);

// These rows as JSON objects, each with a '\n' behind it. `source` as when it was opened.
int32_t thresher_parquet_read(const ThresherParquet* file, ThresherByteSource source,
                              uint64_t first, uint64_t count, ThresherBytes* text,
                              ThresherBytes* error);

// One HTTP request, without body, redirects or, for loopback and link-local addresses, proxies.
// `request`: the lines METHOD, URL and then NAME, VALUE for each header, joined by '\n'.
// `body` of the answer: its headers, each as "name: value\n", an empty line and then the body, of
// at most `body_limit` bytes.
typedef struct ThresherHttpResponse {
  int64_t status;
  ThresherBytes body;
} ThresherHttpResponse;
int32_t thresher_http_request(const uint8_t* request, size_t length, int64_t timeout_ms,
                              size_t body_limit, ThresherHttpResponse* response,
                              ThresherBytes* error);

// A bucket of an object store. All calls block; all return within the time that the options give;
// memory of the caller is not touched after they returned. Keys are whole names within the bucket.
//
// `options`: a JSON object with "service" ("gcs", "s3" or "azblob"), "settings" (an object of
// texts, as OpenDAL's service of that name takes them; without "region" AWS is asked for it),
// "connection_string" (of an Azure storage account; may be missing), and the numbers part_bytes,
// parallel_parts, request_timeout_ms, retry_budget_ms and upload_bytes_per_second of StoreOptions.
typedef struct ThresherObjectStore ThresherObjectStore;
int32_t thresher_object_store_open(const uint8_t* options, size_t length,
                                   ThresherObjectStore** store, ThresherBytes* error);
void thresher_object_store_free(ThresherObjectStore* store);
int32_t thresher_object_store_put(const ThresherObjectStore* store, const uint8_t* key,
                                  size_t key_length, const uint8_t* bytes, size_t length,
                                  ThresherBytes* error);

// With any outcome but THRESHER_OK and THRESHER_REFUSED the object may or may not be there.
int32_t thresher_object_store_create(const ThresherObjectStore* store, const uint8_t* key,
                                     size_t key_length, const uint8_t* bytes, size_t length,
                                     ThresherBytes* error);

// The whole object, if it has at most `limit` bytes.
int32_t thresher_object_store_get(const ThresherObjectStore* store, const uint8_t* key,
                                  size_t key_length, size_t limit, ThresherBytes* bytes,
                                  ThresherBytes* error);
int32_t thresher_object_store_get_range(const ThresherObjectStore* store, const uint8_t* key,
                                        size_t key_length, uint64_t offset, uint8_t* out,
                                        size_t length, ThresherBytes* error);

typedef struct ThresherObjectInfo {
  int64_t bytes;
  int64_t modified_ms;
  ThresherBytes checksum;  // as in ObjectInfo
} ThresherObjectInfo;
int32_t thresher_object_store_stat(const ThresherObjectStore* store, const uint8_t* key,
                                   size_t key_length, ThresherObjectInfo* info,
                                   ThresherBytes* error);

// Up to `limit` objects, in ascending order.
typedef struct ThresherListPage {
  // Of each object: bytes and modified_ms as int64_t, the length of the key as uint64_t, all in
  // this machine's byte order, and the key.
  ThresherBytes objects;
  bool more;
} ThresherListPage;
int32_t thresher_object_store_list(const ThresherObjectStore* store, const uint8_t* prefix,
                                   size_t prefix_length, const uint8_t* start_after,
                                   size_t start_after_length, size_t limit, ThresherListPage* page,
                                   ThresherBytes* error);

// THRESHER_OK also if there is no such object.
int32_t thresher_object_store_delete(const ThresherObjectStore* store, const uint8_t* key,
                                     size_t key_length, ThresherBytes* error);

#ifdef __cplusplus
}
#endif

#endif  // THRESHER_RUST_THRESHER_RUST_H_
