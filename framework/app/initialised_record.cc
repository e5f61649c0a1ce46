// SPDX-License-Identifier: Apache-2.0
#include "framework/app/initialised_record.h"

#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/initialisation.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace triptych::app {
namespace {

std::string counted(const std::vector<std::string>& names) {
  return names.empty() ? "0" : fmt::format("{} ({})", names.size(), some_of(names));
}

std::string summary(const InitialisationReport& report) {
  return fmt::format(
      "{} tensors from {} (step {}); channels adapted: {}; of another shape: {}; not in this "
      "model: {}; outside of `parts`: {}",
      report.taken.size(),
      report.source,
      report.step,
      counted(report.adapted),
      counted(report.reshaped),
      counted(report.unused),
      report.left_out.size());
}

nlohmann::ordered_json as_json(const Initialisation& done) {
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  for (const InitialisationReport& report : done.sources) {
    sources.push_back({{"source", report.source},
                       {"step", report.step},
                       {"taken", report.taken},
                       {"adapted", report.adapted},
                       {"reshaped", report.reshaped},
                       {"unused", report.unused},
                       {"left_out", report.left_out}});
  }
  return {{"sources", sources}, {"untouched", done.untouched}};
}

}  // namespace

void initialise_run(Experiment& experiment,
                    const std::filesystem::path& folder,
                    RunRecord& record) {
  if (experiment.config().initialise.empty()) return;
  const Initialisation done = initialise(experiment);
  std::string text;
  for (const InitialisationReport& report : done.sources) {
    TRIPTYCH_LOG(info, "initialised {}", summary(report));
    text += summary(report) + "; ";
  }
  const std::string rest = "as initialised by the seed: " + counted(done.untouched);
  TRIPTYCH_LOG(info, "{}", rest);
  record.note("initialised", text + rest);
  write_file_atomically(folder / "initialised.json", as_json(done).dump(2) + "\n");
  record.add_output(folder / "initialised.json");
}

}  // namespace triptych::app
