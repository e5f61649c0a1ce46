// SPDX-License-Identifier: Apache-2.0
#include "framework/data/dataset.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

namespace triptych {

const EntrySpec* SampleSpec::find(const std::string& name) const {
  for (const EntrySpec& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

Entry Dataset::read_all(std::size_t sample, const std::string& entry) const {
  const SampleSpec& spec = samples().at(sample);
  const EntrySpec* found = spec.find(entry);
  if (found == nullptr) {
    std::vector<std::string> names;
    for (const EntrySpec& known : spec.entries) names.push_back(known.name);
    throw data_error(
        fmt::format("sample {}: no entry '{}'{}", spec.id, entry, did_you_mean(entry, names)),
        "it has: " + join(names));
  }
  return read(sample, entry, Region{{0, 0, 0}, found->geometry.shape});
}

Sample Dataset::read_sample(std::size_t sample, const std::vector<std::string>& entries) const {
  Sample result;
  result.id = samples().at(sample).id;
  for (const std::string& name : entries) {
    if (samples()[sample].find(name) != nullptr) result.entries[name] = read_all(sample, name);
  }
  return result;
}

}  // namespace triptych
