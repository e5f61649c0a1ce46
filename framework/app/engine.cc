// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"

#include "framework/config/component.h"
#include "framework/core/error.h"
#include "framework/core/place.h"
#include "framework/core/standard_streams.h"
#include "framework/core/stop.h"
#include "framework/core/torch_compat.h"

#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>

namespace triptych::app {
namespace {

/// Names registered twice are a mistake of whoever built the program; found here because static
/// initialisers must not throw.
void check_registries() {
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) {
    for (const std::string& mistake : registry->duplicates()) throw Error("model", mistake);
  }
}

}  // namespace

int guarded(const std::function<int()>& work) {
  const auto fail = [](const char* category, const std::string& message, const char* hint = "") {
    print_error(category, message, hint);
    return 1;
  };
  const auto out_of_memory = [&] {
    return fail("io", "not enough memory", "reduce batch_size, patch or infer.memory");
  };
  try {
    return work();
  } catch (const Error& error) {
    print_error(error.category(), error.what(), error.hint());
    return error.exit_code();
  } catch (const std::filesystem::filesystem_error& error) {
    return fail("io", fmt::format("{}: {}", error.path1().string(), error.code().message()));
  } catch (const std::exception& error) {
    return is_out_of_memory(error) ? out_of_memory()
                                   : fail("numeric", message_without_backtrace(error));
  }
}

int run_engine(const std::vector<std::string>& words) {
  return guarded([&] {
    check_registries();
    const CommandLine command = parse_command_line(words);
    const std::map<std::string, int (*)(const CommandLine&)> verbs = {{"train", train},
                                                                      {"predict", predict},
                                                                      {"evaluate", evaluate},
                                                                      {"generate", generate},
                                                                      {"reconstruct", reconstruct},
                                                                      {"register", register_images},
                                                                      {"warp", warp_files},
                                                                      {"render", render},
                                                                      {"describe", describe},
                                                                      {"summary", summary},
                                                                      {"compose", check}};
    const auto verb = verbs.find(command.verb);
    if (verb == verbs.end())
      throw usage_error(fmt::format("'{}' is not available in this version", command.verb));
    // The other verbs are short, and never ask whether to stop.
    const std::set<std::string> stops_orderly = {
        "train", "predict", "register", "warp", "reconstruct", "evaluate", "generate"};
    if (stops_orderly.contains(command.verb)) install_stop_signals();
    const int code = verb->second(command);
    flush_standard_output();
    return code;
  });
}

}  // namespace triptych::app
