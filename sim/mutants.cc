#include "sim/mutants.h"

#include <map>
#include <memory>
#include <utility>

#include "extract/retry.h"
#include "sim/product_api.h"
#include "store/forwarding_store.h"
#include "work/keys.h"

namespace thresher::sim {
namespace {

bool IsCommit(std::string_view key) { return key.starts_with(kCommitsPrefix); }

// --- stores that lie ---

class PutsCommits : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override {
    if (!IsCommit(key)) return ForwardingStore::CreateIfAbsent(key, bytes);
    const Status status = Put(key, bytes);
    return {status.ok() ? CreateOutcome::kWritten : CreateOutcome::kUnknown, status};
  }
};

// Says of each shard that it arrived as it was sent.
class TrustsUploads : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    if (IsShardObject(key)) sent_[std::string(key)] = static_cast<int64_t>(bytes.size());
    return ForwardingStore::Put(key, bytes);
  }
  Result<ObjectInfo> Stat(std::string_view key) override {
    const auto sent = sent_.find(key);
    if (sent == sent_.end()) return ForwardingStore::Stat(key);
    return ObjectInfo{
        .key = std::string(key), .bytes = sent->second, .modified_ms = 0, .checksum = ""};
  }

 private:
  std::map<std::string, int64_t, std::less<>> sent_;
};

// Everybody else seems to be alive for ever.
class NobodyDies : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    if (key.starts_with(kWorkersPrefix)) own_key_ = key;
    return ForwardingStore::Put(key, bytes);
  }
  Result<std::string> GetText(std::string_view key) override {
    Result<std::string> text = ForwardingStore::GetText(key);
    if (!text.ok() || !key.starts_with(kWorkersPrefix)) return text;
    Result<Heartbeat> heartbeat = Heartbeat::FromText(*text, key);
    if (!heartbeat.ok()) return text;
    heartbeat->state = "running";
    return heartbeat->ToText();
  }
  Result<ObjectInfo> Stat(std::string_view key) override {
    Result<ObjectInfo> info = ForwardingStore::Stat(key);
    if (info.ok()) Refresh(*info);
    return info;
  }
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = ForwardingStore::List(prefix, start_after, limit);
    if (!page.ok()) return page;
    for (ObjectInfo& object : page->objects) Refresh(object);
    return page;
  }

 private:
  // Each look finds a later sign of life.
  void Refresh(ObjectInfo& info) {
    constexpr int64_t kFarAheadMs = 1'000'000'000;
    if (!info.key.starts_with(kWorkersPrefix) || info.key == own_key_) return;
    info.modified_ms += kFarAheadMs + ++looks_;
  }

  std::string own_key_;
  int64_t looks_ = 0;
};

template <typename LyingStore>
class WithStore : public Protocol {
 public:
  std::unique_ptr<Store> Wrap(Store& store) override { return std::make_unique<LyingStore>(store); }
};

// --- publishers that are wrong ---

Status Upload(Store& store, Clock& clock, const Commit& commit, std::span<const std::byte> file) {
  RETURN_IF_ERROR(WithRetries(clock, {}, [&] { return store.Put(commit.shard, file); }));
  return WithRetries(clock, {}, [&]() -> Status {
    ASSIGN_OR_RETURN(const ObjectInfo info, store.Stat(commit.shard));
    return info.bytes == commit.bytes ? OkStatus() : DataLoss("cut off");
  });
}

Result<Published> AsDuplicate(Store& store, const std::string& shard) {
  return Published{Ledger::CommitOutcome::kDuplicate, store.Delete(shard)};
}

// A refused create can only be somebody else's doing, it thinks.
class TrustsConflicts : public Protocol {
 public:
  Result<Published> Publish(Store& store, Clock& clock, Ledger& /*ledger*/, const Commit& commit,
                            std::span<const std::byte> file) override {
    RETURN_IF_ERROR(Upload(store, clock, commit, file));
    CreateResult created;
    RETURN_IF_ERROR(WithRetries(clock, {}, [&] {
      created = store.CreateIfAbsent(CommitKey(commit.unit), AsBytes(commit.ToText()));
      return created.status;
    }));
    if (created.outcome == CreateOutcome::kWritten) return Published{};
    return AsDuplicate(store, commit.shard);
  }
};

// Deletes the shard that the record names, as if that were its own.
class DeletesTheWinner : public Protocol {
 public:
  Result<Published> Publish(Store& store, Clock& clock, Ledger& ledger, const Commit& commit,
                            std::span<const std::byte> file) override {
    RETURN_IF_ERROR(Upload(store, clock, commit, file));
    ASSIGN_OR_RETURN(const Ledger::CommitOutcome outcome, ledger.CommitUnit(commit));
    if (outcome == Ledger::CommitOutcome::kCommitted) return Published{};
    ASSIGN_OR_RETURN(const Commit winner, ReadCommit(store, commit.unit));
    return AsDuplicate(store, winner.shard);
  }
};

// Whoever holds the newest lease need not ask, it thinks.
class TrustsLeases : public Protocol {
 public:
  Result<Published> Publish(Store& store, Clock& clock, Ledger& /*ledger*/, const Commit& commit,
                            std::span<const std::byte> file) override {
    RETURN_IF_ERROR(Upload(store, clock, commit, file));
    ASSIGN_OR_RETURN(const auto objects, ListAll(store, LeasePrefix(commit.unit)));
    for (const ObjectInfo& object : objects) {
      const std::optional<LeaseName> name = ParseLeaseKey(object.key);
      if (name && name->epoch > commit.epoch) return AsDuplicate(store, commit.shard);
    }
    const std::string text = commit.ToText();
    RETURN_IF_ERROR(
        WithRetries(clock, {}, [&] { return store.Put(CommitKey(commit.unit), AsBytes(text)); }));
    return Published{};
  }
};

// The shard's name holds neither session nor epoch.
class SharesNames : public Protocol {
 public:
  Result<Published> Publish(Store& store, Clock& clock, Ledger& /*ledger*/, const Commit& commit,
                            std::span<const std::byte> file) override {
    Commit shared = commit;
    shared.shard = WorkerFolder(0) + "/" + UnitName(commit.unit) + ".safetensors";
    RETURN_IF_ERROR(Upload(store, clock, shared, file));
    ASSIGN_OR_RETURN(const CreatedRecord created,
                     CreateRecord(store, CommitKey(commit.unit), shared.ToText()));
    if (created.creation == Creation::kOurs) return Published{};
    return AsDuplicate(store, shared.shard);
  }
};

// Commits while the shard is still on its way, to save a round trip.
class CommitsFirst : public Protocol {
 public:
  Result<Published> Publish(Store& store, Clock& clock, Ledger& ledger, const Commit& commit,
                            std::span<const std::byte> file) override {
    ASSIGN_OR_RETURN(const Ledger::CommitOutcome outcome, ledger.CommitUnit(commit));
    if (outcome == Ledger::CommitOutcome::kCommitted) {
      RETURN_IF_ERROR(Upload(store, clock, commit, file));
    }
    return Published{outcome, OkStatus()};
  }
};

// --- a manifest of what is there so far ---

class HastyManifest : public Protocol {
 public:
  void WhileWaiting(Store& store, const Run& run) override {
    const auto units = ListUnits(store, kCommitsPrefix, run.plan.unit_count());
    if (!units.ok()) return;
    std::vector<Commit> commits;
    for (const int64_t unit : *units) {
      Result<Commit> commit = ReadCommit(store, unit);
      if (commit.ok()) commits.push_back(*std::move(commit));
    }
    (void)store.Put(kManifestKey, AsBytes(ManifestOf(run, commits, {})));
  }
};

template <typename T>
std::unique_ptr<Protocol> Make() {
  return std::make_unique<T>();
}

}  // namespace

const std::vector<Mutant>& Mutants() {
  static const std::vector<Mutant> mutants = {
      {"commit_by_put", "replaces a commit that is there", Make<WithStore<PutsCommits>>},
      {"no_size_check", "commits without looking at what arrived", Make<WithStore<TrustsUploads>>},
      {"no_takeover", "believes every session to be alive", Make<WithStore<NobodyDies>>},
      {"trusted_conflict", "takes its own commit for another's after a lost answer",
       Make<TrustsConflicts>},
      {"winner_deleted", "deletes the committed shard instead of its duplicate",
       Make<DeletesTheWinner>},
      {"lease_is_authority", "commits by plain put while it believes to hold the lease",
       Make<TrustsLeases>},
      {"shared_shard_name", "names shards without session and epoch", Make<SharesNames>},
      {"commit_before_upload", "commits before the shard is there", Make<CommitsFirst>},
      {"hasty_manifest", "writes the manifest while units are missing", Make<HastyManifest>},
  };
  return mutants;
}

std::optional<MutantFound> FindMutant(const Mutant& mutant, uint64_t last_seed) {
  for (uint64_t seed = 1; seed <= last_seed; ++seed) {
    const Scenario scenario = DrawScenario(seed);
    World world(scenario, {.protocol = mutant.protocol, .trace = {}});
    const WorldReport report = world.Turn();
    if (!report.failure.empty()) return MutantFound{seed, report.failure};
  }
  return std::nullopt;
}

}  // namespace thresher::sim
