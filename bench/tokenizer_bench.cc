// Tokens per second of published tokenizers on English text: on one thread and on all, as prompts
// of 2 to 8 KB, as one long text, and with offsets.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "text/tokenizer.h"
#include "text/tokenizer_data_for_test.h"
#include "text/utf8.h"

namespace thresher {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Parts of 2 to 8 KB, from a fixed seed.
std::vector<std::string> Prompts(std::string_view text) {
  Random random(1);
  std::vector<std::string> prompts;
  while (!text.empty()) {
    const std::string_view prompt = Utf8Prefix(text, 2048 + random.Below(6144));
    prompts.emplace_back(prompt);
    text.remove_prefix(prompt.size());
  }
  return prompts;
}

// Encodes all texts on one thread; the number of tokens.
int64_t EncodeAll(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
                  bool with_offsets) {
  int64_t tokens = 0;
  for (const std::string& text : texts) {
    if (with_offsets) {
      const Result<Encoding> encoding = tokenizer.EncodeWithOffsets(text, true);
      THRESHER_CHECK(encoding.ok());
      tokens += static_cast<int64_t>(encoding->ids.size());
    } else {
      const Result<std::vector<int32_t>> ids = tokenizer.Encode(text, true);
      THRESHER_CHECK(ids.ok());
      tokens += static_cast<int64_t>(ids->size());
    }
  }
  return tokens;
}

// Millions of tokens per second when each of `threads` encodes all texts `rounds` times.
double Speed(const Tokenizer& tokenizer, const std::vector<std::string>& texts, bool with_offsets,
             int threads, int rounds) {
  std::vector<int64_t> tokens(static_cast<size_t>(threads), 0);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  workers.reserve(tokens.size());
  for (int64_t& count : tokens) {
    workers.emplace_back([&] {
      for (int round = 0; round < rounds; ++round)
        count += EncodeAll(tokenizer, texts, with_offsets);
    });
  }
  for (std::thread& worker : workers) worker.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  double sum = 0;
  for (const int64_t count : tokens) sum += static_cast<double>(count);
  return sum / elapsed.count() / 1e6;
}

struct Options {
  std::string tokenizers;
  std::vector<std::string> texts;
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  int rounds = 3;
  bool tiny = false;
};

void Measure(const std::string& folder, const std::string& text, const Options& options) {
  const Result<Tokenizer> tokenizer = Tokenizer::Load(folder);
  if (!tokenizer.ok()) {
    fmt::print("{}: {}\n", folder, tokenizer.status().message());
    return;
  }
  const std::vector<std::string> prompts = Prompts(text);
  const auto speed = [&](const std::vector<std::string>& texts, bool with_offsets, int threads) {
    return Speed(*tokenizer, texts, with_offsets, threads, options.rounds);
  };
  // First of all, so that it is measured with nothing remembered.
  const double first = Speed(*tokenizer, prompts, false, 1, 1);
  fmt::print("{:<12} {:>8.2f} {:>8.2f} {:>8.2f} {:>8.2f} {:>11.2f}\n",
             std::filesystem::path(folder).filename().string(), first, speed(prompts, false, 1),
             speed({text}, false, 1), speed(prompts, true, 1),
             speed(prompts, false, options.threads));
}

int Main(int argc, char** argv) {
  CLI::App app("Speed of tokenizers, in millions of tokens per second");
  Options options;
  app.add_option("--tokenizers", options.tokenizers, "A folder of folders with a tokenizer.json");
  app.add_option("--text", options.texts, "Files with English text (UTF-8)");
  app.add_option("--threads", options.threads, "Threads of the last column");
  app.add_option("--rounds", options.rounds, "How often each text is encoded");
  app.add_flag("--tiny", options.tiny, "A second's work: a small tokenizer on a made-up text");
  CLI11_PARSE(app, argc, argv);

  std::string text;
  for (const std::string& path : options.texts) text += ReadText(path);
  std::vector<std::string> folders;
  if (options.tiny) {
    for (int i = 0; i < 500; ++i) text += fmt::format("Line {} of a book: it's dull.\n", i);
    folders.push_back(TokenizerDataPath("tiny512"));
  } else {
    if (text.empty() || options.tokenizers.empty()) {
      fmt::print("give --text and --tokenizers, or --tiny\n");
      return 2;
    }
    for (const auto& entry : std::filesystem::directory_iterator(options.tokenizers)) {
      if (std::filesystem::exists(entry.path() / "tokenizer.json")) folders.push_back(entry.path());
    }
    std::ranges::sort(folders);
  }
  fmt::print("{} KB of text; millions of tokens per second\n", text.size() / 1000);
  fmt::print("{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} threads\n", "tokenizer", "first", "prompts",
             "whole", "offsets", options.threads);
  for (const std::string& folder : folders) Measure(folder, text, options);
  return 0;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) { return thresher::Main(argc, argv); }
