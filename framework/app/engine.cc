// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"

#include "framework/config/component.h"
#include "framework/core/error.h"
#include "framework/core/stop.h"
#include "framework/core/torch_compat.h"

#include <cstdio>
#include <map>

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
  try {
    return work();
  } catch (const Error& error) {
    print_error(error.category(), error.what(), error.hint());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    print_error("io", "not enough memory", "reduce batch_size, patch or infer.memory");
    return 1;
  } catch (const std::exception& error) {
    print_error("numeric", message_without_backtrace(error), "");
    return 1;
  }
}

int run_engine(const std::vector<std::string>& words) {
  return guarded([&] {
    check_registries();
    install_stop_signals();
    const CommandLine command = parse_command_line(words);
    const std::map<std::string, int (*)(const CommandLine&)> verbs = {{"train", train},
                                                                      {"predict", predict},
                                                                      {"evaluate", evaluate},
                                                                      {"generate", generate},
                                                                      {"render", render},
                                                                      {"describe", describe},
                                                                      {"summary", summary},
                                                                      {"compose", check}};
    const auto verb = verbs.find(command.verb);
    if (verb == verbs.end())
      throw usage_error(fmt::format("'{}' is not available in this version", command.verb));
    return verb->second(command);
  });
}

}  // namespace triptych::app
