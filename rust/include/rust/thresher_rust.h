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

// CRC-32C of A followed by `bytes`, given `crc` of A.
uint32_t thresher_crc32c_extend(uint32_t crc, const uint8_t* bytes, size_t length);

// CRC-32C of A followed by B from both checksums and the length of B.
uint32_t thresher_crc32c_combine(uint32_t crc_a, uint32_t crc_b, size_t length_b);

// The number of bytes before the first one that is not valid UTF-8; `length` if there is none.
size_t thresher_utf8_valid_prefix(const uint8_t* bytes, size_t length);

// A tokenizer from the text of a tokenizer.json. Truncation and padding of the file are ignored.
typedef struct ThresherTokenizer ThresherTokenizer;
int32_t thresher_tokenizer_new(const uint8_t* json, size_t length, ThresherTokenizer** tokenizer,
                               ThresherBytes* error);
void thresher_tokenizer_free(ThresherTokenizer* tokenizer);
int32_t thresher_tokenizer_encode(const ThresherTokenizer* tokenizer, const uint8_t* text,
                                  size_t length, bool add_special_tokens, ThresherIds* ids,
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

#ifdef __cplusplus
}
#endif

#endif  // THRESHER_RUST_THRESHER_RUST_H_
