// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/command_line.h"

#include <functional>
#include <string>
#include <vector>

namespace triptych::app {

/// Verbs that compute. Each returns the exit code; errors are thrown.
int train(const CommandLine& command);
int predict(const CommandLine& command);
int evaluate(const CommandLine& command);
int generate(const CommandLine& command);
int reconstruct(const CommandLine& command);
int register_images(const CommandLine& command);
int warp_files(const CommandLine& command);
int render(const CommandLine& command);
int describe(const CommandLine& command);
int summary(const CommandLine& command);
/// `compose --check`: the composed configuration against the schema.
int check(const CommandLine& command);

/// Runs `work`; an exception becomes one line on stderr and its exit code.
int guarded(const std::function<int()>& work);

/// Runs the verb on the command line and turns exceptions into one line on stderr and the exit
/// code.
int run_engine(const std::vector<std::string>& words);

}  // namespace triptych::app
