#include "forecast/prices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/toml.h"

namespace thresher {
namespace {

// Reads the keys of one table; the first mistake stays in status().
class TableReader {
 public:
  // `name`: "[[machine]]", for messages; empty for the top.
  TableReader(const toml::table& table, const std::string& path, std::string name)
      : table_(table), path_(path), name_(std::move(name)) {}

  std::string Text(const char* key) {
    const toml::node* node = Find(key, true);
    if (!node) return "";
    const auto* text = node->as_string();
    if (!text || text->get().empty()) {
      Fail(node->source(), key, "expected text in quotes, found " + DescribeToml(*node));
      return "";
    }
    return text->get();
  }

  // Above `above`, at most `most`.
  double Number(const char* key, double above, double most) {
    return NumberIfThere(key, above, most, true).value_or(0);
  }
  std::optional<double> OptionalNumber(const char* key, double above, double most) {
    return NumberIfThere(key, above, most, false);
  }

  // The array of tables; empty if it is not there.
  std::vector<const toml::table*> Tables(const char* key) {
    std::vector<const toml::table*> tables;
    const toml::node* node = Find(key, false);
    if (!node) return tables;
    const toml::array* array = node->is_array_of_tables() ? node->as_array() : nullptr;
    if (!array) {
      Fail(node->source(), key,
           fmt::format("expected sections [[{}]], found {}", key, DescribeToml(*node)));
      return tables;
    }
    for (const toml::node& one : *array) tables.push_back(one.as_table());
    return tables;
  }

  // Call last: every key that was not read is a mistake.
  Status Finish() {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (known_.contains(name)) continue;
      Fail(key.source(), Quoted(name),
           fmt::format("is not known; expected {}", fmt::join(known_, ", ")));
    }
    return status_;
  }

  void Fail(const toml::source_region& place, std::string_view key, const std::string& message) {
    if (!status_.ok()) return;
    status_ = InvalidArgument(fmt::format("{}:{}:{}: {}key {}: {}", path_, place.begin.line,
                                          place.begin.column, name_.empty() ? "" : name_ + ": ",
                                          key, message));
  }

 private:
  const toml::node* Find(const char* key, bool is_required) {
    known_.insert(key);
    const toml::node* node = table_.get(key);
    if (!node && is_required) Fail(table_.source(), key, "is missing");
    return node;
  }

  std::optional<double> NumberIfThere(const char* key, double above, double most,
                                      bool is_required) {
    const toml::node* node = Find(key, is_required);
    if (!node) return std::nullopt;
    const std::optional<double> number = node->is_number() ? node->value<double>() : std::nullopt;
    if (!number || !(*number > above && *number <= most)) {
      Fail(node->source(), key,
           fmt::format("expected a number above {} and at most {}, found {}", above, most,
                       DescribeToml(*node)));
      return std::nullopt;
    }
    return number;
  }

  const toml::table& table_;
  const std::string& path_;
  std::string name_;
  std::set<std::string> known_;
  Status status_;
};

// Money may be nothing.
constexpr double kBelowNothing = -1e-9;
constexpr double kMuch = 1e9;

std::string Date(TableReader& reader, const toml::table& table) {
  std::string date = reader.Text("as_of");
  const auto is_digit = [&](size_t i) { return date[i] >= '0' && date[i] <= '9'; };
  const bool is_good = date.size() == 7 && is_digit(0) && is_digit(1) && is_digit(2) &&
                       is_digit(3) && date[4] == '-' && is_digit(5) && is_digit(6);
  if (!is_good && table.contains("as_of")) {
    reader.Fail(table.get("as_of")->source(), "as_of",
                "expected a month such as \"2025-06\", found " + Quoted(date));
  }
  return date;
}

PriceOrigin Origin(TableReader& reader, const toml::table& table) {
  return {.as_of = Date(reader, table), .source = reader.Text("source")};
}

// A machine has a chip of the table, or a peak.
void ReadPeak(TableReader& reader, const toml::table& table, MachinePrice& machine) {
  if (!table.contains("chip")) {
    machine.peak_tflops = reader.Number("peak_tflops", 0, kMuch);
    return;
  }
  const Result<Chip> chip = FindChip(reader.Text("chip"));
  if (chip.ok()) {
    machine.chip = *chip;
    machine.peak_tflops = chip->peak_flops / 1e12;
  } else {
    reader.Fail(table.get("chip")->source(), "chip", chip.status().message());
  }
  if (table.contains("peak_tflops")) {
    reader.Fail(table.get("peak_tflops")->source(), "peak_tflops",
                "the chip has one; give one of the two");
  }
}

Result<MachinePrice> ReadMachine(const toml::table& table, const std::string& path) {
  TableReader reader(table, path, "[[machine]]");
  MachinePrice machine;
  machine.name = reader.Text("name");
  machine.description = reader.Text("description");
  ReadPeak(reader, table, machine);
  machine.efficiency = reader.Number("efficiency", 0, 1);
  machine.upload_gb_per_second = reader.Number("upload_gb_per_second", 0, kMuch);
  machine.on_demand_per_hour = reader.Number("on_demand_per_hour", kBelowNothing, kMuch);
  machine.spot_per_hour = reader.OptionalNumber("spot_per_hour", kBelowNothing, kMuch);
  machine.origin = Origin(reader, table);
  RETURN_IF_ERROR(reader.Finish());
  return machine;
}

Result<StoragePrice> ReadStorage(const toml::table& table, const std::string& path) {
  TableReader reader(table, path, "[[storage]]");
  StoragePrice storage;
  storage.name = reader.Text("name");
  storage.scheme = reader.Text("scheme");
  storage.per_gb_month = reader.Number("per_gb_month", kBelowNothing, kMuch);
  storage.origin = Origin(reader, table);
  RETURN_IF_ERROR(reader.Finish());
  return storage;
}

Result<EgressPrice> ReadEgress(const toml::table& table, const std::string& path) {
  TableReader reader(table, path, "[[egress]]");
  EgressPrice egress;
  egress.name = reader.Text("name");
  egress.scheme = reader.Text("scheme");
  egress.per_gb = reader.Number("per_gb", kBelowNothing, kMuch);
  egress.origin = Origin(reader, table);
  RETURN_IF_ERROR(reader.Finish());
  return egress;
}

}  // namespace

Result<MachinePrice> PriceList::FindMachine(std::string_view name) const {
  std::vector<std::string> names;
  for (const MachinePrice& machine : machines) {
    if (machine.name == name) return machine;
    names.push_back(machine.name);
  }
  return InvalidArgument(fmt::format("--machine: {} has no machine {}; it has {}", path,
                                     Quoted(name), fmt::join(names, ", ")));
}

Result<PriceList> ParsePrices(std::string_view text, const std::string& path) {
  if (text.size() > kMaxPriceFileBytes) {
    return InvalidArgument(fmt::format("{}: expected at most {} bytes, found {}", path,
                                       kMaxPriceFileBytes, text.size()));
  }
  ASSIGN_OR_RETURN(const toml::table top, ParseToml(text, path));
  PriceList prices;
  prices.path = path;
  TableReader reader(top, path, "");
  prices.currency = reader.Text("currency");
  const std::vector<const toml::table*> machines = reader.Tables("machine");
  const std::vector<const toml::table*> storage = reader.Tables("storage");
  const std::vector<const toml::table*> egress = reader.Tables("egress");
  RETURN_IF_ERROR(reader.Finish());
  std::set<std::string> names;
  for (const toml::table* table : machines) {
    ASSIGN_OR_RETURN(MachinePrice machine, ReadMachine(*table, path));
    if (!names.insert(machine.name).second) {
      return InvalidArgument(fmt::format("{}:{}: [[machine]]: key name: there are two machines {}",
                                         path, table->source().begin.line, Quoted(machine.name)));
    }
    prices.machines.push_back(std::move(machine));
  }
  for (const toml::table* table : storage) {
    ASSIGN_OR_RETURN(StoragePrice price, ReadStorage(*table, path));
    prices.storage.push_back(std::move(price));
  }
  for (const toml::table* table : egress) {
    ASSIGN_OR_RETURN(EgressPrice price, ReadEgress(*table, path));
    prices.egress.push_back(std::move(price));
  }
  return prices;
}

Result<PriceList> ReadPrices(const std::string& path) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return ParsePrices({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
                     path);
}

}  // namespace thresher
