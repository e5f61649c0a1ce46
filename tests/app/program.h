// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace triptych::testing {

struct Finished {
  int code = -1;
  std::string out;
  std::string err;
};

/// Starts the built program `triptych` with `words` in `folder` and waits; output is kept.
Finished run_program(const std::vector<std::string>& words, const std::filesystem::path& folder);

/// Runs it, expects `code` and an error, and returns what it wrote to stderr.
std::string failure(const std::filesystem::path& folder,
                    const std::vector<std::string>& words,
                    int code);

/// Starts it and returns at once; output goes to `folder`/background.log.
pid_t start_program(const std::vector<std::string>& words, const std::filesystem::path& folder);
/// Exit code, or 128 + signal.
int wait_for(pid_t process);

/// Words that make experiment=quickstart a matter of seconds.
std::vector<std::string> tiny_quickstart(const std::filesystem::path& run,
                                         std::vector<std::string> more = {});

/// A fresh folder under the test's temporary folder.
std::filesystem::path fresh_folder(const std::string& name);

}  // namespace triptych::testing
