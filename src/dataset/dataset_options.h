#ifndef THRESHER_DATASET_DATASET_OPTIONS_H_
#define THRESHER_DATASET_DATASET_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dataset/data_files.h"
#include "dataset/unpack.h"
#include "store/store.h"

namespace thresher {

struct DatasetOptions {
  // Not inline: GCC 12 warns, wrongly, wherever it inlines the default argument of Dataset::Open.
  DatasetOptions();
  DatasetOptions(const DatasetOptions&);
  DatasetOptions& operator=(const DatasetOptions&);
  ~DatasetOptions();

  StoreOptions store = {};  // how gs://, s3:// and az:// addresses are reached

  // What decides which records there are.
  std::vector<std::string> columns = {};  // of Parquet files, those that are read; empty: all
  std::string documents = "file";         // of plain text: see TextRules::Parse
  int64_t document_piece_bytes = int64_t{64} << 10;

  // Longer records are found, counted and checked, but their text is not given: see Record.
  int64_t max_record_bytes = int64_t{64} << 20;
  // For unpacked files; empty: DefaultCacheFolder().
  std::string cache_folder = {};
  int64_t max_unpacked_bytes = int64_t{1} << 40;
  int64_t threads = 0;  // that make the index; 0: as many as the machine has, at most 8

  // Where the index is shared, which one worker makes and all others load: the run's store
  // (borrowed while the data set is opened). Nothing: each makes its own.
  Store* index_store = nullptr;
  // From so many bytes on, one worker makes the index while the others wait for it.
  int64_t wait_for_index_bytes = int64_t{256} << 20;
  Clock* clock = &Clock::Real();  // for that wait
  Events events = {};
  StoreOpener open_store = {};  // empty: OpenStore
};

}  // namespace thresher

#endif  // THRESHER_DATASET_DATASET_OPTIONS_H_
