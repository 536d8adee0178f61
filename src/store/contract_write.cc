// The contract of Put, CreateIfAbsent and Delete.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "store/contract_checks.h"
#include "store/fault_store.h"

namespace thresher {
namespace {

constexpr int kCreateAttempts = 20;

std::string_view OutcomeName(CreateOutcome outcome) {
  switch (outcome) {
    case CreateOutcome::kWritten:
      return "written";
    case CreateOutcome::kConflict:
      return "conflict";
    case CreateOutcome::kUnknown:
      return "unknown";
  }
  return "";
}

Status ExpectOutcome(const CreateResult& created, CreateOutcome expected, std::string_view what) {
  if (created.outcome == CreateOutcome::kUnknown && !created.status.ok()) {
    return created.status.WithContext(what);
  }
  return Expect(created.outcome == expected, [&] {
    return fmt::format("{}: the answer should be \"{}\" and is \"{}\"", what, OutcomeName(expected),
                       OutcomeName(created.outcome));
  });
}

Status PutReplaces(Store& store, Clock&, const ContractOptions&) {
  RETURN_IF_ERROR(PutText(store, "a/b", "one, the longer"));
  RETURN_IF_ERROR(PutText(store, "a/b", "two"));
  RETURN_IF_ERROR(ExpectText(store, "a/b", "two"));
  return ExpectKeys(store, "", {"a/b"});
}

Status CreateNeverReplaces(Store& store, Clock&, const ContractOptions&) {
  const auto create = [&](std::string_view text) {
    return store.CreateIfAbsent("a/b", AsBytes(text));
  };
  RETURN_IF_ERROR(ExpectOutcome(create("first"), CreateOutcome::kWritten, "create"));
  RETURN_IF_ERROR(ExpectOutcome(create("second"), CreateOutcome::kConflict, "create again"));
  RETURN_IF_ERROR(ExpectText(store, "a/b", "first"));
  RETURN_IF_ERROR(PutText(store, "a/put", "put"));
  RETURN_IF_ERROR(ExpectOutcome(store.CreateIfAbsent("a/put", AsBytes("created")),
                                CreateOutcome::kConflict, "create over an object that was put"));
  return ExpectText(store, "a/put", "put");
}

Status CreateAfterDelete(Store& store, Clock&, const ContractOptions&) {
  for (const char* text : {"first", "second", "third"}) {
    RETURN_IF_ERROR(ExpectOutcome(store.CreateIfAbsent("a/b", AsBytes(text)),
                                  CreateOutcome::kWritten, "create where nothing is"));
    RETURN_IF_ERROR(ExpectText(store, "a/b", text));
    RETURN_IF_ERROR(store.Delete("a/b"));
    RETURN_IF_ERROR(ExpectAbsent(store, "a/b"));
  }
  return OkStatus();
}

// What one of many creators of an object was told.
struct Racer {
  CreateOutcome outcome = CreateOutcome::kUnknown;
  bool may_have_won = false;  // an answer was lost on the way
  std::string read;           // the object, right after the answer
};

Status RunRacer(Store& store, const std::string& key, const std::string& text, bool over_network,
                Racer& racer) {
  for (int attempt = 1;; ++attempt) {
    const CreateResult created = store.CreateIfAbsent(key, AsBytes(text));
    racer.outcome = created.outcome;
    if (created.outcome == CreateOutcome::kUnknown) {
      racer.may_have_won = true;
      if (!over_network) {
        return created.status.ok() ? FailedPrecondition("a create ended with no answer")
                                   : created.status;
      }
    }
    Result<std::string> read = store.GetText(key);
    if (read.ok()) {
      racer.read = *std::move(read);
      return OkStatus();
    }
    const bool may_try_again =
        over_network && created.outcome != CreateOutcome::kWritten && attempt < kCreateAttempts;
    if (may_try_again && read.status().code() == Code::kNotFound) continue;
    if (read.status().code() != Code::kNotFound) return read.status();
    if (!created.status.ok()) return created.status;
    return FailedPrecondition(fmt::format("a creator was told \"{}\" and then found no object",
                                          OutcomeName(created.outcome)));
  }
}

Status JudgeRace(const std::vector<Racer>& racers) {
  int64_t winner_count = 0;
  for (size_t i = 0; i < racers.size(); ++i) {
    const Racer& racer = racers[i];
    RETURN_IF_ERROR(Expect(racer.read == racers[0].read, [&] {
      return fmt::format("two creators read different objects: {} and {}", Quoted(racers[0].read),
                         Quoted(racer.read));
    }));
    if (racer.outcome != CreateOutcome::kWritten) continue;
    ++winner_count;
    RETURN_IF_ERROR(Expect(racer.read == fmt::format("creator {}", i), [&] {
      return fmt::format("creator {} was told that it won, and the object is {}", i,
                         Quoted(racer.read));
    }));
  }
  if (winner_count == 0) {
    for (size_t i = 0; i < racers.size(); ++i) {
      if (racers[i].may_have_won && racers[i].read == fmt::format("creator {}", i))
        return OkStatus();
    }
  }
  return Expect(winner_count == 1, [&] {
    return fmt::format("{} of {} creators of one object were told that they created it",
                       winner_count, racers.size());
  });
}

Status CreateRace(Store& store, Clock&, const ContractOptions& options) {
  for (int64_t round = 0; round < options.rounds; ++round) {
    const std::string key = fmt::format("commits/unit-{:06}.json", round);
    std::vector<Racer> racers(static_cast<size_t>(options.racers));
    RETURN_IF_ERROR(Race(options.racers, [&](int64_t i) {
      return RunRacer(store, key, fmt::format("creator {}", i), options.over_network,
                      racers[static_cast<size_t>(i)]);
    }));
    RETURN_IF_ERROR(JudgeRace(racers));
  }
  return OkStatus();
}

// The wrapper loses the answers; what the store did must stand, and trying again must be harmless.
Status LostAnswers(Store& store, Clock& clock, const ContractOptions&) {
  FaultStore lossy(store, clock);
  for (const StoreCall call : {StoreCall::kCreateIfAbsent, StoreCall::kPut, StoreCall::kDelete}) {
    lossy.AddFault({.kind = FaultKind::kErrorAfter, .call = call});
  }
  const CreateResult lost = lossy.CreateIfAbsent("commit", AsBytes("ours"));
  RETURN_IF_ERROR(Expect(lost.outcome == CreateOutcome::kUnknown, "the answer was not lost"));
  RETURN_IF_ERROR(ExpectText(store, "commit", "ours").WithContext("after a create"));
  RETURN_IF_ERROR(ExpectOutcome(lossy.CreateIfAbsent("commit", AsBytes("ours")),
                                CreateOutcome::kConflict, "create again after a lost answer"));
  RETURN_IF_ERROR(Expect(!lossy.Put("heartbeat", AsBytes("1")).ok(), "the answer was not lost"));
  RETURN_IF_ERROR(ExpectText(store, "heartbeat", "1").WithContext("after a put"));
  RETURN_IF_ERROR(lossy.Put("heartbeat", AsBytes("1")));
  RETURN_IF_ERROR(ExpectText(store, "heartbeat", "1").WithContext("after a second put"));
  RETURN_IF_ERROR(Expect(!lossy.Delete("commit").ok(), "the answer was not lost"));
  RETURN_IF_ERROR(ExpectAbsent(store, "commit").WithContext("after a delete"));
  RETURN_IF_ERROR(lossy.Delete("commit"));
  return ExpectOutcome(lossy.CreateIfAbsent("commit", AsBytes("again")), CreateOutcome::kWritten,
                       "create after a delete whose answer was lost");
}

Status ConcurrentPut(Store& store, Clock&, const ContractOptions& options) {
  const auto value_of = [](int64_t racer) {
    return std::string(static_cast<size_t>(1000 * (racer + 1)),
                       static_cast<char>('a' + racer % 26));
  };
  for (int64_t round = 0; round < options.rounds; ++round) {
    const std::string key = fmt::format("heartbeat-{}", round);
    RETURN_IF_ERROR(
        Race(options.racers, [&](int64_t racer) { return PutText(store, key, value_of(racer)); }));
    const Result<std::string> text = store.GetText(key);
    if (!text.ok()) return text.status();
    const auto racer = static_cast<int64_t>(text->size()) / 1000 - 1;
    RETURN_IF_ERROR(Expect(racer >= 0 && racer < options.racers && *text == value_of(racer), [&] {
      return fmt::format("after {} puts of one key at the same time the object is none of them: {}",
                         options.racers, Quoted(*text));
    }));
    RETURN_IF_ERROR(ExpectText(store, key, *text));
  }
  return OkStatus();
}

Status EmptyObject(Store& store, Clock&, const ContractOptions&) {
  RETURN_IF_ERROR(PutText(store, "empty", ""));
  RETURN_IF_ERROR(ExpectOutcome(store.CreateIfAbsent("also", {}), CreateOutcome::kWritten,
                                "create an empty object"));
  RETURN_IF_ERROR(ExpectOutcome(store.CreateIfAbsent("also", {}), CreateOutcome::kConflict,
                                "create an empty object again"));
  RETURN_IF_ERROR(ExpectText(store, "empty", ""));
  RETURN_IF_ERROR(ExpectText(store, "also", ""));
  return ExpectKeys(store, "", {"also", "empty"});
}

// Reads the object in pieces that fit no part size, and compares them with `expected`.
Status ComparePieces(Store& store, std::string_view key, std::span<const std::byte> expected) {
  std::vector<std::byte> piece((size_t{8} << 20) + 3);
  for (size_t offset = 0; offset < expected.size(); offset += piece.size()) {
    const size_t bytes = std::min(piece.size(), expected.size() - offset);
    RETURN_IF_ERROR(
        store.GetRange(key, static_cast<int64_t>(offset), std::span(piece).first(bytes)));
    RETURN_IF_ERROR(Expect(std::memcmp(piece.data(), expected.data() + offset, bytes) == 0, [&] {
      return fmt::format("bytes {} to {} of an object of {} bytes are not what was put", offset,
                         offset + bytes, expected.size());
    }));
  }
  return OkStatus();
}

Status LargeObject(Store& store, Clock&, const ContractOptions& options) {
  std::vector<std::byte> bytes(static_cast<size_t>(options.large_bytes));
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  RETURN_IF_ERROR(store.Put("tpu_0/large", bytes));
  ASSIGN_OR_RETURN(const ObjectInfo info, store.Stat("tpu_0/large"));
  RETURN_IF_ERROR(Expect(info.bytes == options.large_bytes, [&] {
    return fmt::format("{} bytes were put, the store has {}", options.large_bytes, info.bytes);
  }));
  RETURN_IF_ERROR(ComparePieces(store, "tpu_0/large", bytes));
  if (!info.checksum.starts_with("crc32c:")) return OkStatus();
  const std::string checksum = FormatCrc32c(ExtendCrc32c(0, bytes));
  return Expect(info.checksum == checksum, [&] {
    return fmt::format("the store says {} of an object whose checksum is {}", info.checksum,
                       checksum);
  });
}

Status DeleteIsFinal(Store& store, Clock&, const ContractOptions&) {
  for (const char* key : {"a", "a/b/c"})
    RETURN_IF_ERROR(store.Delete(key).WithContext("of nothing"));
  RETURN_IF_ERROR(PutAll(store, {"b/1", "b/2", "b/3"}, 3));
  RETURN_IF_ERROR(store.Delete("b/2"));
  RETURN_IF_ERROR(store.Delete("b/2").WithContext("delete again"));
  RETURN_IF_ERROR(ExpectAbsent(store, "b/2"));
  RETURN_IF_ERROR(ExpectText(store, "b/1", "b/1"));
  return ExpectText(store, "b/3", "b/3");
}

Status BadKeys(Store& store, Clock&, const ContractOptions&) {
  RETURN_IF_ERROR(PutText(store, "a", "stays"));
  const std::vector<std::string> bad = {"",         "/a",    "a//b",
                                        "../a",     "a/./b", "a/",
                                        "a/..",     ".",     "..",
                                        "a/../..",  "/",     std::string("a\0b", 3),
                                        "a/.tmp-1", ".tmp-", std::string("\0", 1)};
  for (const std::string& key : bad) {
    const CreateResult created = store.CreateIfAbsent(key, AsBytes("x"));
    const bool refused = CheckKey(key).code() == Code::kInvalidArgument &&
                         store.Put(key, AsBytes("x")).code() == Code::kInvalidArgument &&
                         created.outcome == CreateOutcome::kUnknown &&
                         created.status.code() == Code::kInvalidArgument &&
                         store.GetText(key).status().code() == Code::kInvalidArgument &&
                         store.GetRange(key, 0, {}).code() == Code::kInvalidArgument &&
                         store.Stat(key).status().code() == Code::kInvalidArgument &&
                         store.Delete(key).code() == Code::kInvalidArgument;
    RETURN_IF_ERROR(Expect(refused, [&] { return "not every call refuses key " + Quoted(key); }));
  }
  RETURN_IF_ERROR(ExpectText(store, "a", "stays"));
  return ExpectKeys(store, "", {"a"});
}

constexpr ContractCheck kChecks[] = {
    {"put-replaces", "an object that is put again holds the new bytes only", Need::kRun,
     PutReplaces},
    {"create-never-replaces", "create-if-absent refuses where an object is, and leaves it as it is",
     Need::kRun, CreateNeverReplaces},
    {"create-after-delete", "a deleted object can be created again", Need::kRun, CreateAfterDelete},
    {"create-race", "of many creators of one object exactly one wins, and all read its bytes",
     Need::kRun, CreateRace},
    {"lost-answers", "a call whose answer is lost has had its effect, and can be made again",
     Need::kRun, LostAnswers},
    {"concurrent-put", "of many puts of one object at the same time one whole object remains",
     Need::kRun, ConcurrentPut},
    {"empty-object", "an object of no bytes is an object", Need::kRun, EmptyObject},
    {"large-object", "a large object is stored byte for byte, uploaded in parts or not", Need::kRun,
     LargeObject},
    {"delete", "a deleted object is gone, its neighbours stay, and deleting nothing is no error",
     Need::kRun, DeleteIsFinal},
    {"bad-keys", "keys that could lead out of the folder are refused by every call", Need::kRun,
     BadKeys},
};

}  // namespace

std::span<const ContractCheck> WriteChecks() { return kChecks; }

}  // namespace thresher
