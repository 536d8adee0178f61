#include "sample/sample_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rust_threads_for_test.h"
#include "base/temporary_folder_for_test.h"
#include "text/tokenizer_data_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;

std::string Task(int number) {
  return R"({"task_id": "t)" + std::to_string(number) +
         R"(", "train": [{"input": [[1, 2]], "output": [[2]]}, {"input": [[5]], "output": [[6]]}],)"
         R"( "test": [{"input": [[3, 0, )" +
         std::to_string(number % 10) + R"(]], "output": [[4]]}]})" + "\n";
}

std::string Tasks(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += Task(i);
  return text;
}

// Settings of which the user gave nothing. One thread: see SampleSetThreadsTest.
SampleReaderOptions Unset() {
  SampleReaderOptions options{.vocabulary_size = 512};
  options.threads = 1;
  options.settings.variants = 0;
  options.settings.augment = "";
  return options;
}

template <typename Base>
class SampleSets : public Base {
 protected:
  Result<SampleSet> Open(const std::string& text, const SampleReaderOptions& options,
                         const std::string& name = "d.jsonl") {
    DatasetOptions dataset_options;
    dataset_options.cache_folder = folder_.path() + "/cache";
    return SampleSet::Open(folder_.Write(name, text), TokenizerDataPath("tiny512"), options,
                           dataset_options);
  }
  // "8 flip,order", or the error.
  std::string Resolved(const std::string& text, const SampleReaderOptions& options) {
    const Result<SampleSet> set = Open(text, options);
    if (!set.ok()) return set.status().message();
    const SampleSettings& settings = set->reader().settings();
    return std::to_string(settings.variants) + " " + settings.augment;
  }
  SampleReaderOptions With(int64_t variants, const std::string& augment) {
    SampleReaderOptions options = Unset();
    options.settings.variants = variants;
    options.settings.augment = augment;
    return options;
  }

  // The samples of the data set are the same on one thread, a part at a time, as on seven.
  void ExpectSameOnSevenThreads(const std::string& text, SampleReaderOptions options,
                                int64_t sample_count) {
    options.threads = 1;
    const Result<SampleSet> one = Open(text, options);
    options.threads = 7;
    const Result<SampleSet> seven = Open(text, options);
    ASSERT_TRUE(one.ok() && seven.ok());
    ASSERT_EQ(seven->sample_count(), sample_count);
    const auto together = seven->Read(0, sample_count);
    ASSERT_TRUE(together.ok());
    for (int64_t first = 0; first < sample_count; first += 37) {
      const int64_t count = std::min<int64_t>(37, sample_count - first);
      const auto part = one->Read(first, count);
      ASSERT_TRUE(part.ok());
      for (int64_t i = 0; i < count; ++i) {
        const auto& a = std::get<Sample>((*part)[static_cast<size_t>(i)]);
        const auto& b = std::get<Sample>((*together)[static_cast<size_t>(first + i)]);
        ASSERT_EQ(a.key, b.key);
        ASSERT_EQ(a.token_ids, b.token_ids);
        ASSERT_EQ(a.stored_tokens, b.stored_tokens);
      }
    }
  }

  TemporaryFolder folder_;
};

using SampleSetTest = SampleSets<testing::Test>;

// Threads that meet in the tokenizer's memory of words, behind a lock of the Rust library.
using SampleSetThreadsTest = SampleSets<RustThreadsTest>;

TEST_F(SampleSetTest, VariantsOfArcTasks) {
  const std::string arc = Tasks(2);
  EXPECT_EQ(Resolved(arc, Unset()), "8 flip,rotate,colors,order");
  EXPECT_EQ(Resolved(arc, With(0, "none")), "1 none");
  EXPECT_EQ(Resolved(arc, With(0, "order,flip")), "8 flip,order");
  EXPECT_EQ(Resolved(arc, With(1, "")), "1 none");
  EXPECT_EQ(Resolved(arc, With(3, "")), "3 flip,rotate,colors,order");
  EXPECT_EQ(Resolved(arc, With(3, "none")),
            "--variants 3: with --augment none they would all be the same; expected 1, or another "
            "--augment");
  SampleReaderOptions candidates = With(3, "none");
  candidates.settings.prompt = "select-output";
  EXPECT_EQ(Resolved(arc, candidates), "3 none") << "their wrong candidates differ";
  EXPECT_EQ(Resolved(arc, With(1, "swap")), "1 swap");
  SampleReaderOptions code = Unset();
  code.settings.prompt = "code-from-examples";
  EXPECT_EQ(Resolved(arc, code), "8 order");
}

TEST_F(SampleSetTest, OtherDataHasOneVariant) {
  const std::string text = R"({"text": "a"})";
  EXPECT_EQ(Resolved(text, Unset()), "1 none");
  EXPECT_EQ(Resolved(text, With(1, "none")), "1 none");
  EXPECT_EQ(Resolved(text, With(2, "")),
            "--variants 2: only ARC tasks have variants, and the data set's first record that can "
            "be used is none; expected 1");
  EXPECT_EQ(Resolved(text, With(0, "order,flip")),
            "--augment flip,order: only ARC tasks can be changed, and the data set's first record "
            "that can be used is none; expected none");
}

TEST_F(SampleSetTest, TheFirstRecordThatCanBeUsedDecides) {
  EXPECT_EQ(Resolved("{}\nnonsense\n{\"train\": [], \"test\": []}\n" + Task(1), Unset()),
            "8 flip,rotate,colors,order");
  EXPECT_EQ(Resolved("{}\n{\"text\": \"a\"}\n" + Task(1), Unset()), "1 none");
  EXPECT_EQ(Resolved("{}\nnonsense\n", Unset()), "1 none");
}

TEST_F(SampleSetTest, SettingsThatMeanTheSameComeOutEqual) {
  SampleReaderOptions one = With(2, "order,flip");
  one.settings.grid_encoder = "shape( minimal )";
  SampleReaderOptions other = With(2, "flip,order");
  other.settings.grid_encoder = "GridShapeEncoder(MinimalGridEncoder())";
  const Result<SampleSet> a = Open(Tasks(1), one);
  const Result<SampleSet> b = Open(Tasks(1), other);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->reader().fingerprint(), b->reader().fingerprint());
  // And what was resolved stays as it is.
  SampleReaderOptions again = one;
  again.settings = a->reader().settings();
  const Result<SampleSet> c = Open(Tasks(1), again);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->reader().settings(), a->reader().settings());
}

TEST_F(SampleSetTest, SamplesAreVariantsOfRecords) {
  const Result<SampleSet> set = Open(Tasks(3) + R"({"text": "abc", "id": 5})"
                                                "\n",
                                     With(4, ""));
  ASSERT_TRUE(set.ok()) << set.status().message();
  EXPECT_EQ(set->sample_count(), 16);
  const auto samples = set->Read(0, 16);
  ASSERT_TRUE(samples.ok());
  std::vector<std::string> keys;
  for (const SampleOrRejection& read : *samples) {
    const auto* sample = std::get_if<Sample>(&read);
    keys.push_back(sample != nullptr ? sample->key : "rejected");
  }
  EXPECT_THAT(keys, testing::ElementsAre("t0#0", "t0#1", "t0#2", "t0#3", "t1#0", "t1#1", "t1#2",
                                         "t1#3", "t2#0", "t2#1", "t2#2", "t2#3", "5#0", "rejected",
                                         "rejected", "rejected"));
  EXPECT_THAT(std::get<Rejection>((*samples)[13]).reason,
              HasSubstr("d.jsonl:4: variant 1: only ARC tasks have variants"));
}

TEST_F(SampleSetThreadsTest, PromptsDoNotDependOnWhoReadsThem) {
  SampleReaderOptions options = With(5, "");
  options.settings.max_tokens = 600;
  options.settings.tokens = "fraction:0.5";
  ExpectSameOnSevenThreads(Tasks(40), options, 200);
}

TEST_F(SampleSetTest, TokenIdsDoNotDependOnWhoReadsThem) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += R"({"id": )" + std::to_string(i) + R"(, "token_ids": [5, 6, 7, )" + std::to_string(i) +
            "]}\n";
  }
  SampleReaderOptions options = Unset();
  options.settings.tokens = "fraction:0.5";
  ExpectSameOnSevenThreads(text, options, 200);
}

TEST_F(SampleSetTest, VariantsOfATaskDiffer) {
  const Result<SampleSet> set = Open(Tasks(2), With(5, ""));
  ASSERT_TRUE(set.ok());
  const auto samples = set->Read(0, 10);
  ASSERT_TRUE(samples.ok());
  EXPECT_NE(std::get<Sample>((*samples)[5]).token_ids, std::get<Sample>((*samples)[6]).token_ids);
  EXPECT_TRUE(set->Read(5, 0)->empty());
}

TEST_F(SampleSetTest, PlainTextFiles) {
  SampleReaderOptions options = Unset();
  options.settings.documents = "line";
  const Result<SampleSet> set = Open("one line\n{\"text\": 5}\n", options, "d.txt");
  ASSERT_TRUE(set.ok()) << set.status().message();
  EXPECT_EQ(set->sample_count(), 2);
  const Result<SampleSet::Inspection> second = set->Inspect(1);
  ASSERT_TRUE(second.ok() && second->outcome.ok());
  EXPECT_EQ(second->outcome->text, "{\"text\": 5}");
}

TEST_F(SampleSetTest, InspectionShowsWhatReadGives) {
  const Result<SampleSet> set = Open(Tasks(2) + "nonsense\n", With(2, ""));
  ASSERT_TRUE(set.ok());
  for (int64_t i = 0; i < set->sample_count(); ++i) {
    const Result<SampleSet::Inspection> inspection = set->Inspect(i);
    ASSERT_TRUE(inspection.ok());
    EXPECT_EQ(inspection->record_index, i / 2);
    EXPECT_EQ(inspection->variant, i % 2);
    const SampleOrRejection read = set->Read(i, 1)->front();
    if (i >= 4) {
      EXPECT_EQ(inspection->outcome.status().message(), std::get<Rejection>(read).reason);
      continue;
    }
    ASSERT_TRUE(inspection->outcome.ok());
    EXPECT_EQ(inspection->outcome->sample.token_ids, std::get<Sample>(read).token_ids);
    std::string text;
    for (const ByteRange& place : inspection->outcome->places) {
      text += inspection->outcome->text->substr(static_cast<size_t>(place.begin),
                                                static_cast<size_t>(place.end - place.begin));
    }
    EXPECT_EQ(text, inspection->outcome->text);
  }
}

TEST_F(SampleSetTest, WrongSettingsNameTheFlag) {
  const auto error = [&](const SampleReaderOptions& options) {
    return Open(Tasks(1), options).status().message();
  };
  SampleReaderOptions options = Unset();
  options.settings.overlong = "cut";
  EXPECT_EQ(error(options), "--overlong: expected truncate, reject or split, found 'cut'");
  options = Unset();
  options.settings.overlap = 3;
  EXPECT_THAT(error(options), HasSubstr("--overlap 3: only the sequences of a split sample"));
  options.settings.overlap = -1;
  EXPECT_EQ(error(options), "--overlap: expected a number from 0, found -1");
  options.settings.overlong = "split";
  options.settings.overlap = options.settings.max_tokens;
  EXPECT_THAT(error(options), HasSubstr("--overlap: expected a number from 0 to 2047"));
  EXPECT_THAT(error(With(-1, "")), HasSubstr("--variants: expected a number from 1"));
  options = Unset();
  options.settings.documents = "book";
  EXPECT_THAT(error(options), testing::StartsWith("--documents: "));
  options = Unset();
  options.settings.prompt_end = "end";
  EXPECT_THAT(error(options), HasSubstr("--prompt-end"));
  options = Unset();
  options.settings.tokens = "none";
  EXPECT_THAT(error(options), HasSubstr("--tokens"));
  options = Unset();
  options.settings.exclude_tokens = "all";
  EXPECT_THAT(error(options), HasSubstr("--exclude-tokens"));
}

}  // namespace
}  // namespace thresher
