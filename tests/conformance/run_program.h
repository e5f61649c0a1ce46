// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace triptych::testing {

struct ProgramResult {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

/// Runs the program `triptych` without a shell. Variables whose names begin with VEC_ are unset
/// unless `environment` sets them.
ProgramResult run_triptych(const std::vector<std::string>& arguments,
                           const std::map<std::string, std::string>& environment = {});

}  // namespace triptych::testing
