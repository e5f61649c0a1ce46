// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/compose.h"
#include "framework/config/node.h"

#include <filesystem>
#include <string>
#include <vector>

namespace triptych::app {

/// The words after the program's name, taken apart. Flags may stand anywhere; `--` ends them.
struct CommandLine {
  std::string verb;
  /// What is neither verb nor flag: overrides, `key=value`, names.
  std::vector<std::string> words;
  /// Position of each of `words` on the command line, for messages; the verb is word 1.
  std::vector<int> word_numbers;
  /// Everything as it was given, verb and flags included.
  std::vector<std::string> program_words;

  bool help = false;
  bool version = false;
  bool json = false;
  bool multirun = false;
  bool check = false;
  bool resolve = false;
  int jobs = 1;  ///< of a sweep, at once
  std::filesystem::path config_dir;
  std::string config_name = "config";
  std::string get;      ///< --get KEY
  std::string package;  ///< --package PACKAGE
  std::string info;     ///< --info defaults
  std::string cfg;      ///< --cfg job

  bool has(std::string_view word) const;
};

/// Throws a ConfigError of category `usage` for an unknown verb or flag, naming the nearest one.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

/// What to compose for a verb that composes; searches beside the running program.
config::ComposeRequest compose_request(const CommandLine& command);

/// `key=value` words of a verb that composes nothing.
config::Node words_to_node(const CommandLine& command);
config::Node words_to_node(const std::vector<std::string>& words);

/// Path of the running program.
std::filesystem::path executable_path();

struct FlagInfo {
  const char* name;
  const char* short_name;  ///< "" if there is none
  const char* value;       ///< placeholder of its value, "" if it takes none
  const char* help;
  const char* verb = "";  ///< the only verb that hears it, "" for all
};

/// All flags, in the order in which help lists them.
const std::vector<FlagInfo>& flags();

/// All verbs, in the order in which help lists them.
const std::vector<std::string>& verbs();

/// Prints `error[category]: message` for each line of an error, then its hint, to stderr.
void print_error(std::string_view category, std::string_view message, std::string_view hint);

}  // namespace triptych::app
