// Data sets of many files, formats and places.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/source_folder_for_test.h"
#include "base/temporary_folder_for_test.h"
#include "dataset/dataset.h"
#include "dataset/packed_for_test.h"
#include "dataset/shared_index.h"
#include "store/fault_store.h"
#include "store/forwarding_store.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string ParquetPath(const std::string& name) {
  return SourceFolderForTest() / "tests" / "data" / "parquet" / name;
}

// Time passes only when somebody sleeps.
class SleeplessClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return 1000 * now_ms_; }
  int64_t UnixMs() const override { return now_ms_; }
  void SleepMs(int64_t duration_ms) override {
    now_ms_ += duration_ms;
    if (on_sleep) on_sleep();
  }
  std::function<void()> on_sleep;

 private:
  int64_t now_ms_ = 0;
};

std::vector<std::string> TextsOf(const Dataset& dataset) {
  std::vector<std::string> texts;
  const Result<Records> records = dataset.Read(0, dataset.record_count());
  EXPECT_TRUE(records.ok()) << records.status().message();
  if (!records.ok()) return texts;
  for (int64_t i = 0; i < records->count(); ++i) {
    texts.emplace_back((*records)[i].text);
    EXPECT_EQ(dataset.RecordBytes(i), static_cast<int64_t>(texts.back().size()));
  }
  return texts;
}

std::string Lines(const std::string& name, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "{\"" + name + "\":" + std::to_string(i) + "}\n";
  return text;
}

class DatasetFilesTest : public testing::Test {
 protected:
  DatasetFilesTest() {
    options_.cache_folder = folder_.PathOf("cache");
    options_.events = [this](const std::string& line) {
      std::lock_guard lock(mutex_);
      events_.push_back(line);
    };
    options_.open_store = [this](const std::string& url,
                                 const StoreOptions&) -> Result<std::unique_ptr<Store>> {
      opened_url_ = url;
      return std::unique_ptr<Store>(std::make_unique<ForwardingStore>(*cloud_));
    };
    std::filesystem::create_directories(folder_.PathOf("data/sub"));
  }

  std::string Write(const std::string& name, const std::string& bytes) {
    return folder_.Write("data/" + name, bytes);
  }
  std::string Data() const { return folder_.PathOf("data"); }
  Dataset Open(const std::string& address) {
    Result<Dataset> dataset = Dataset::Open(address, options_);
    THRESHER_CHECK(dataset.ok());
    return *std::move(dataset);
  }
  Status ErrorOf(const std::string& address) { return Dataset::Open(address, options_).status(); }
  void Put(const std::string& key, const std::string& bytes) {
    THRESHER_CHECK(memory_.Put(key, AsBytes(bytes)).ok());
  }

  TemporaryFolder folder_;
  MemoryStore memory_;
  SleeplessClock clock_;
  FaultStore faulty_{memory_, clock_};
  Store* cloud_ = &faulty_;
  std::string opened_url_;
  std::mutex mutex_;
  std::vector<std::string> events_;
  DatasetOptions options_;
};

TEST_F(DatasetFilesTest, FolderWithEverything) {
  Write("a.jsonl", "{\"a\":1}\n{\"a\":2}");
  Write("b.jsonl.gz", GzipForTest("{\"b\":1}\n") + GzipForTest("\n{\"b\":2}\n"));
  Write("c.ndjson.zst", ZstdForTest("{\"c\":1}\r\n"));
  Write("d.json", "[{\"d\":1},\n {\"d\":2}]");
  Write("e.json", "{\n \"e\": 1\n}\n");
  Write("empty.jsonl", "");
  Write("sub/f.txt", "\nsome text\n");
  Write("README.md", "not data");
  Write("dataset_info.json", "{}");
  Write(".hidden.jsonl", "{}");
  Write(".tmp-x.jsonl", "{}");
  Write("script.py", "print()");
  const Dataset dataset = Open(Data());
  EXPECT_THAT(TextsOf(dataset),
              ElementsAre("{\"a\":1}", "{\"a\":2}", "{\"b\":1}", "{\"b\":2}", "{\"c\":1}",
                          "{\"d\":1}", "{\"d\":2}", "{\n \"e\": 1\n}", "some text"));
  const Records records = dataset.Read(0, 9).value();
  EXPECT_EQ(records.Location(3), Data() + "/b.jsonl.gz:3");
  EXPECT_EQ(records.Location(6), Data() + "/d.json:2");
  EXPECT_EQ(records.Location(8), Data() + "/sub/f.txt:2");
  EXPECT_TRUE(records[7].is_json);
  EXPECT_FALSE(records[8].is_json);
  EXPECT_THAT(events_, testing::Contains(Data() + "/empty.jsonl is empty; passed over"));
  EXPECT_THAT(dataset.Describe(),
              AllOf(HasSubstr("7 files"), HasSubstr("9 records"),
                    HasSubstr("JSONL and JSON and plain text"), HasSubstr("text is divided by ")));
}

TEST_F(DatasetFilesTest, Patterns) {
  Write("train-1.jsonl", "{1}\n");
  Write("train-0.jsonl", "{0}\n");
  Write("test-0.jsonl", "{9}\n");
  Write("sub/train-2.jsonl", "{2}\n");
  EXPECT_THAT(TextsOf(Open(Data() + "/train-*.jsonl")), ElementsAre("{0}", "{1}"));
  EXPECT_THAT(TextsOf(Open(Data() + "/**/train-[12].jsonl")), ElementsAre("{2}", "{1}"));
  EXPECT_THAT(TextsOf(Open("file://" + Data() + "/*/*.jsonl")), ElementsAre("{2}"));
  EXPECT_EQ(ErrorOf(Data() + "/x*").code(), Code::kNotFound);
  EXPECT_THAT(ErrorOf(Data() + "/x*").message(), HasSubstr("no file fits"));
  Write("[odd].jsonl", "{7}\n");
  EXPECT_THAT(TextsOf(Open(Data() + "/[odd].jsonl")), ElementsAre("{7}"));
  EXPECT_EQ(ErrorOf("ftp://x/y").code(), Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf("").code(), Code::kInvalidArgument);
  EXPECT_THAT(ErrorOf("gs:/bucket/x").message(), HasSubstr("two slashes after the colon"));
}

TEST_F(DatasetFilesTest, GivenFilesKeepTheirOrder) {
  const std::string b = Write("b.jsonl", "{b}\n");
  const std::string a = Write("sub/a.jsonl", "{a}\n");
  const Result<Dataset> dataset = Dataset::OpenFiles({b, a}, "hf://x/y", options_);
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  EXPECT_THAT(TextsOf(*dataset), ElementsAre("{b}", "{a}"));
  EXPECT_EQ(dataset->address(), "hf://x/y");
}

TEST_F(DatasetFilesTest, ContentDecidesWhereNamesDoNot) {
  Write("plain", "{1}\n");
  Write("packed.gz", GzipForTest("{2}\n"));
  EXPECT_THAT(TextsOf(Open(Data() + "/plain")), ElementsAre("{1}"));
  EXPECT_THAT(TextsOf(Open(Data() + "/packed.gz")), ElementsAre("{2}"));
  EXPECT_THAT(ErrorOf(Write("odd.bin", "???")).message(),
              AllOf(HasSubstr("odd.bin"), HasSubstr("known are JSONL")));
  EXPECT_THAT(ErrorOf(Write("wrong.jsonl", GzipForTest("{2}\n"))).message(),
              AllOf(HasSubstr("wrong.jsonl"), HasSubstr("gzip; call it .gz")));
  EXPECT_THAT(ErrorOf(Write("cut.jsonl.gz", GzipForTest("{2}\n").substr(0, 12))).message(),
              AllOf(HasSubstr("cut.jsonl.gz"), HasSubstr("cut off")));
  EXPECT_THAT(ErrorOf(Write("bad.json", "[{},\n7]")).message(), HasSubstr("bad.json:2: expected"));
  Write("sub/x.py", "");
  EXPECT_THAT(ErrorOf(Data() + "/sub").message(), HasSubstr("no data files in this folder"));
}

TEST_F(DatasetFilesTest, ParquetRowsAreRecords) {
  const Dataset dataset = Open(ParquetPath("arc.parquet"));
  const Dataset lines = Open(ParquetPath("arc.jsonl"));
  EXPECT_EQ(TextsOf(dataset), TextsOf(lines));
  EXPECT_EQ(dataset.FingerprintOfFirst(2).value(), lines.FingerprintOfFirst(2).value());
  EXPECT_EQ(dataset.Read(1, 1)->Location(0), ParquetPath("arc.parquet") + ": row 2");
  EXPECT_THAT(dataset.Describe(),
              AllOf(HasSubstr("1 file"), HasSubstr("Parquet"), HasSubstr("rows; columns: ")));
  options_.columns = {"nowhere"};
  EXPECT_THAT(ErrorOf(ParquetPath("arc.parquet")).message(),
              AllOf(HasSubstr("has no column nowhere; its columns are")));
  options_.columns.clear();
  EXPECT_EQ(ErrorOf(ParquetPath("empty.parquet")).code(), Code::kInvalidArgument);
  const std::string bytes = ReadFileForTest(ParquetPath("arc.parquet"));
  EXPECT_THAT(ErrorOf(Write("cut.parquet", bytes.substr(0, bytes.size() / 2))).message(),
              AllOf(HasSubstr("cut.parquet"), HasSubstr("cut off")));
}

// However records are cut into files, packed or stored: the same records and fingerprints.
TEST_F(DatasetFilesTest, RandomSplitsGiveTheSameRecords) {
  Random random(5);
  std::vector<std::string> expected;
  std::string all;
  for (int i = 0; i < 1500; ++i) {
    expected.push_back("{" + std::string(random.Below(300 == i ? 3'000'000 : 600), 'x') + "}");
    all += expected.back() + "\n";
  }
  const Dataset one = Open(Write("one.jsonl", all));
  ASSERT_EQ(TextsOf(one), expected);
  for (int round = 0; round < 6; ++round) {
    const std::string folder = "data/r" + std::to_string(round);
    std::filesystem::create_directories(folder_.PathOf(folder));
    std::string text;
    int file = 100;
    const auto flush = [&] {
      const std::string name = std::to_string(file++) + ".jsonl";
      const uint64_t kind = random.Below(3);
      const std::string bytes = kind == 0   ? text
                                : kind == 1 ? GzipForTest(text)
                                            : ZstdForTest(text);
      const std::string suffix = kind == 0 ? "" : kind == 1 ? ".gz" : ".zst";
      folder_.Write(folder + "/" + name + suffix, bytes);
      Put("r" + std::to_string(round) + "/" + name + suffix, bytes);
      text.clear();
    };
    for (const std::string& record : expected) {
      text += record + (random.Below(2) == 0 ? "\r\n" : "\n\n");
      if (random.Below(round < 3 ? 300 : 20) == 0) flush();
    }
    flush();
    options_.threads = 1 + static_cast<int64_t>(random.Below(3));
    const Dataset many = Open(folder_.PathOf(folder));
    ASSERT_EQ(TextsOf(many), expected);
    const Dataset stored = Open("gs://bucket/x/r" + std::to_string(round) + "*/*");
    ASSERT_EQ(opened_url_, "gs://bucket/x");
    ASSERT_EQ(TextsOf(stored), expected);
    for (const int64_t count : {0, 1, 255, 256, 257, 700, 1500}) {
      ASSERT_EQ(many.FingerprintOfFirst(count).value(), one.FingerprintOfFirst(count).value());
    }
    for (int read = 0; read < 50; ++read) {
      const auto first = static_cast<int64_t>(random.Below(1500));
      const auto count = static_cast<int64_t>(random.Below(static_cast<uint64_t>(1501 - first)));
      const Records records = many.Read(first, count).value();
      ASSERT_EQ(records.count(), count);
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(records[i].text, expected[static_cast<size_t>(first + i)]);
      }
    }
  }
}

TEST_F(DatasetFilesTest, StoredFilesAreReadByRange) {
  Put("train-0.jsonl", Lines("a", 3000));
  Put("train-1.jsonl", Lines("b", 2000));
  Put("other.jsonl", Lines("c", 10));
  const Dataset dataset = Open("gs://bucket/data/train-*.jsonl");
  EXPECT_EQ(opened_url_, "gs://bucket/data");
  EXPECT_EQ(dataset.record_count(), 5000);
  const int64_t before = faulty_.CallCount();
  EXPECT_EQ((*dataset.Read(2999, 2))[1].text, "{\"b\":0}");
  EXPECT_EQ(faulty_.CallCount() - before, 2) << "one range of each file";
  EXPECT_EQ((*dataset.Read(3000, 1)).Location(0), "gs://bucket/data/train-1.jsonl:1");
  EXPECT_EQ(faulty_.CallCount() - before, 2) << "the block is kept";
  EXPECT_EQ(Open("gs://bucket/train-1.jsonl").record_count(), 2000);
  EXPECT_EQ(Open("gs://bucket").record_count(), 5010);
  EXPECT_EQ(ErrorOf("gs://bucket/none.jsonl").code(), Code::kNotFound);
}

TEST_F(DatasetFilesTest, EveryFailureOfTheStoreIsAnErrorOrHarmless) {
  Put("a.jsonl", Lines("a", 900));
  Put("b.jsonl.gz", GzipForTest(Lines("b", 300)));
  Put("c.parquet", ReadFileForTest(ParquetPath("arc.parquet")));
  const std::vector<std::string> expected = TextsOf(Open("s3://bucket/d"));
  for (const FaultKind kind : {FaultKind::kErrorBefore, FaultKind::kHang}) {
    for (int64_t call = 1;; ++call) {
      FaultStore faulty(memory_, clock_, {{.kind = kind, .first_call = call, .latency_ms = 50}});
      cloud_ = &faulty;
      std::filesystem::remove_all(options_.cache_folder);
      options_.threads = 1;
      const Result<Dataset> dataset = Dataset::Open("s3://bucket/d", options_);
      const bool opened = dataset.ok();
      if (opened) {
        const Result<Records> records = dataset->Read(0, dataset->record_count());
        ASSERT_EQ(dataset->record_count(), static_cast<int64_t>(expected.size()));
        ASSERT_TRUE(records.ok() || records.status().code() == Code::kUnavailable);
        for (int64_t i = 0; records.ok() && i < records->count(); ++i) {
          ASSERT_EQ((*records)[i].text, expected[static_cast<size_t>(i)]);
        }
      } else {
        ASSERT_EQ(dataset.status().code(), Code::kUnavailable) << dataset.status().message();
      }
      if (faulty.FaultCount() == 0) break;
      ASSERT_LT(call, 100);
    }
  }
}

TEST_F(DatasetFilesTest, TheIndexIsSharedThroughTheStore) {
  Put("a.jsonl", Lines("a", 5000));
  MemoryStore run;
  options_.index_store = &run;
  const Dataset first = Open("gs://bucket/d");
  const int64_t before = faulty_.CallCount(StoreCall::kGetRange);
  const Dataset second = Open("gs://bucket/d");
  EXPECT_EQ(faulty_.CallCount(StoreCall::kGetRange), before) << "nothing is read";
  EXPECT_EQ(TextsOf(second), TextsOf(first));
  EXPECT_EQ(second.FingerprintOfFirst(777).value(), first.FingerprintOfFirst(777).value());
  EXPECT_EQ(ListAll(run, kIndexFolder)->size(), 1U);

  options_.documents = "line";
  (void)Open("gs://bucket/d");
  EXPECT_EQ(ListAll(run, kIndexFolder)->size(), 2U) << "other options, another index";
}

TEST_F(DatasetFilesTest, BrokenOrUnreachableIndexCostsOnlyTheSharing) {
  const std::string path = Write("a.jsonl", Lines("a", 1000));
  MemoryStore run;
  options_.index_store = &run;
  const std::vector<std::string> expected = TextsOf(Open(path));
  const std::string key = ListAll(run, "")->front().key;
  ASSERT_TRUE(run.Put(key, AsBytes("THRINDEX nonsense")).ok());
  EXPECT_EQ(TextsOf(Open(path)), expected);
  EXPECT_THAT(events_, testing::Contains(AllOf(HasSubstr(key), HasSubstr("deletes this object"))));

  options_.wait_for_index_bytes = 1;
  options_.clock = &clock_;
  for (int64_t call = 1;; ++call) {
    MemoryStore fresh;
    FaultStore faulty(fresh, clock_, {{.kind = FaultKind::kErrorAfter, .first_call = call}});
    options_.index_store = &faulty;
    ASSERT_EQ(TextsOf(Open(path)), expected);
    if (faulty.FaultCount() == 0) break;
  }
}

TEST_F(DatasetFilesTest, OneWorkerIndexesWhileOthersWait) {
  const std::string path = Write("a.jsonl", Lines("a", 1000));
  MemoryStore run;
  MemoryStore elsewhere;
  options_.clock = &clock_;
  options_.wait_for_index_bytes = 1;
  options_.index_store = &elsewhere;
  (void)Open(path);
  ASSERT_EQ(ListAll(elsewhere, "")->size(), 1U) << "the claim is deleted";
  const std::string key = ListAll(elsewhere, "")->front().key;
  const std::string claim = key.substr(0, key.rfind('.')) + ".building";
  ASSERT_EQ(run.CreateIfAbsent(claim, AsBytes("x")).outcome, CreateOutcome::kWritten);
  int sleeps = 0;
  clock_.on_sleep = [&] {
    if (++sleeps == 3) {
      THRESHER_CHECK(run.Put(key, AsBytes(elsewhere.GetText(key).value())).ok());
    }
  };
  options_.index_store = &run;
  events_.clear();
  (void)Open(path);
  EXPECT_EQ(sleeps, 3);
  EXPECT_THAT(events_, ElementsAre(HasSubstr("waiting for another worker")));

  // The other worker has died.
  MemoryStore abandoned;
  ASSERT_EQ(abandoned.CreateIfAbsent(claim, AsBytes("x")).outcome, CreateOutcome::kWritten);
  clock_.on_sleep = nullptr;
  options_.index_store = &abandoned;
  EXPECT_EQ(Open(path).record_count(), 1000);
  EXPECT_TRUE(abandoned.Stat(key).ok());
}

TEST_F(DatasetFilesTest, ChangedFilesAreNoticed) {
  const std::string text = Lines("a", 600);
  const std::string path = Write("a.jsonl", text);
  const auto read = [&](const Dataset& dataset, int64_t first) {
    return dataset.Read(first, 1).status();
  };
  MemoryStore run;
  options_.index_store = &run;
  (void)Open(path);
  std::string changed = text;
  changed[text.find("300}")] = '7';
  Write("a.jsonl", changed);
  const Dataset dataset = Open(path);  // with the index of what it was
  EXPECT_TRUE(read(dataset, 5).ok());
  const Status status = read(dataset, 301);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), AllOf(HasSubstr(path + ": lines 257-512"), HasSubstr("--output")));

  Write("a.jsonl", text.substr(0, text.size() - 20));
  const Dataset cut = Open(path);
  Write("a.jsonl", text.substr(0, 100));
  EXPECT_EQ(read(cut, 550).code(), Code::kFailedPrecondition);
  std::filesystem::remove(path);
  EXPECT_THAT(read(cut, 5).message(), HasSubstr(path));
  EXPECT_FALSE(read(cut, 5).ok());
}

TEST_F(DatasetFilesTest, HugeRecordsStayUnread) {
  options_.max_record_bytes = 1000;
  const std::string path =
      Write("a.jsonl", "{1}\n{" + std::string(3'000'000, 'x') + "}\n{3}\n\0\n\xff\n");
  const Dataset dataset = Open(path);
  const Records records = dataset.Read(0, dataset.record_count()).value();
  ASSERT_GE(records.count(), 3);
  EXPECT_EQ(records[1].text, "");
  EXPECT_EQ(records[1].unread_bytes, 3'000'002);
  EXPECT_EQ(dataset.RecordBytes(1), 3'000'002);
  EXPECT_EQ(records[2].text, "{3}");
  EXPECT_EQ(records[2].unread_bytes, 0);
  options_.max_record_bytes = 10'000'000;
  EXPECT_EQ(Open(path).FingerprintOfFirst(2).value(), dataset.FingerprintOfFirst(2).value());
}

TEST_F(DatasetFilesTest, ThreadsReadAtOnce) {
  const std::string path = Write("a.jsonl", Lines("a", 5000));
  const Dataset dataset = Open(path);
  std::vector<std::jthread> threads;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&dataset, seed] {
      Random random(seed);
      for (int i = 0; i < 300; ++i) {
        const auto index = static_cast<int64_t>(random.Below(5000));
        const Result<Records> records = dataset.Read(index, 1);
        ASSERT_TRUE(records.ok());
        ASSERT_EQ((*records)[0].text, "{\"a\":" + std::to_string(index) + "}");
      }
    });
  }
}

TEST_F(DatasetFilesTest, NoRecordsAtAll) {
  Write("a.jsonl", "");
  Write("b.jsonl", "\n\n");
  EXPECT_THAT(ErrorOf(Data()).message(), HasSubstr("its 2 files hold no records"));
  EXPECT_THAT(ErrorOf(Write("sub/a.txt", " \n")).message(), HasSubstr("expected plain text"));
  EXPECT_THAT(ErrorOf(Write("sub/a.json", "[]")).message(), HasSubstr("an empty array"));
}

}  // namespace
}  // namespace thresher
