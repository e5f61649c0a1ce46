// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace triptych::app {

/// What the program is, its verbs and flags.
std::string program_help();

/// What a verb does, its words and flags, with examples.
std::string verb_help(const std::string& verb);

}  // namespace triptych::app
