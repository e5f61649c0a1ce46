// SPDX-License-Identifier: Apache-2.0
// The light program: answers help, compose, completion and new at once, and becomes triptych-engine
// (which loads LibTorch) for every other verb.
#include "framework/app/command_line.h"
#include "framework/app/help.h"
#include "framework/app/light_verbs.h"
#include "framework/core/error.h"
#include "framework/core/standard_streams.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

namespace triptych::app {
namespace {

/// OpenMP threads that wait spin for a moment only, unless the user says otherwise: on a machine
/// that others use as well, spinning takes the cores from the threads that are waited for.
void wait_politely() {
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", "10000", /*replace=*/0);
}

/// Replaces this process; returns only by throwing.
[[noreturn]] void become_engine(char** argv) {
  const std::filesystem::path engine = executable_path().parent_path() / "triptych-engine";
  wait_politely();
  // The engine reports as the program that the user called.
  execv(engine.c_str(), argv);
  throw Error("io",
              fmt::format("{}: cannot be started: {}", engine.string(), std::strerror(errno)),
              "build the target triptych-engine");
}

int run(const std::vector<std::string>& arguments, char** argv) {
  // Completion hands over an unfinished command line, which need not parse.
  if (arguments.size() > 1 && arguments[0] == "completion" && arguments[1] == "query") {
    CommandLine query;
    query.verb = "completion";
    query.words.assign(arguments.begin() + 1, arguments.end());
    return completion(query);
  }
  const CommandLine command = parse_command_line(arguments);
  if (command.version) {
    fmt::print("triptych {}\n", TRIPTYCH_VERSION);
    return 0;
  }
  if (command.help || command.verb.empty()) {
    const std::string text = command.verb.empty() ? program_help() : verb_help(command.verb);
    // Asked for, help is the answer; otherwise it says what is missing.
    std::fputs(text.c_str(), command.help ? stdout : stderr);
    return command.help ? 0 : 2;
  }
  if (command.verb == "compose" && !command.check) return compose(command);
  if (command.verb == "completion") return completion(command);
  if (command.verb == "new") return new_component(command);
  become_engine(argv);
}

}  // namespace
}  // namespace triptych::app

int main(int argc, char** argv) {
  using namespace triptych;
  open_standard_streams();
  try {
    const int code = app::run({argv + 1, argv + argc}, argv);
    flush_standard_output();
    return code;
  } catch (const Error& error) {
    app::print_error(error.category(), error.what(), error.hint());
    return error.exit_code();
  } catch (const std::exception& error) {
    app::print_error("internal", error.what(), "this is a bug in Triptych");
    return 1;
  }
}
