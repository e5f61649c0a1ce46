// SPDX-License-Identifier: Apache-2.0
#include "framework/app/command_line.h"

#include "framework/config/override.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace triptych::app {
namespace {

/// Where the value of a flag goes; sets booleans itself.
class FlagParser {
 public:
  explicit FlagParser(CommandLine& command) : command_(command) {}

  /// Takes the flag at `index` and its value, if it has one; moves `index` to its last word.
  void parse(const std::vector<std::string>& arguments, std::size_t& index) {
    const std::string& argument = arguments[index];
    const std::size_t equal = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::string name = argument.substr(0, equal);
    const FlagInfo& flag = find(name);
    given_.push_back(&flag);
    const bool takes_value = *flag.value != '\0';
    if (!takes_value) {
      if (equal != std::string::npos) throw usage_error(fmt::format("{} takes no value", name));
      return set(flag.name, "");
    }
    if (equal != std::string::npos) return set(flag.name, argument.substr(equal + 1));
    if (index + 1 == arguments.size())
      throw usage_error(fmt::format("{} needs a value: {} {}", name, name, flag.value));
    set(flag.name, arguments[++index]);
  }

  /// A flag that would go unheard is a mistake: `train --check` is not meant to train.
  void check_heard() const {
    if (command_.multirun && !command_.help && command_.verb != "train" &&
        command_.verb != "compose")
      throw usage_error(fmt::format("{}: --multirun has no effect", command_.verb),
                        "only train runs sweeps");
    for (const FlagInfo* flag : given_) {
      const bool heard = *flag->verb == '\0' || command_.verb == flag->verb;
      if (!heard && !command_.help)
        throw usage_error(fmt::format("{}: {} has no effect", command_.verb, flag->name),
                          fmt::format("triptych {} {}", flag->verb, flag->name));
      if (std::string_view(flag->name) == "--jobs" && !command_.multirun && !command_.help)
        throw usage_error("--jobs: only a sweep has jobs, --multirun is missing");
    }
  }

 private:
  static const FlagInfo& find(const std::string& name) {
    std::vector<std::string> names;
    for (const FlagInfo& flag : flags()) {
      if (name == flag.name || (!name.empty() && name == flag.short_name)) return flag;
      names.emplace_back(flag.name);
    }
    throw usage_error(fmt::format("unknown flag {}{}", name, did_you_mean(name, names)),
                      "see triptych --help");
  }

  void set(std::string_view name, const std::string& value) {
    if (value.empty() && *find(std::string(name)).value != '\0')
      throw usage_error(fmt::format("{} needs a value, got ''", name));
    if (name == "--help") command_.help = true;
    if (name == "--version") command_.version = true;
    if (name == "--json") command_.json = true;
    if (name == "--multirun") command_.multirun = true;
    if (name == "--check") command_.check = true;
    if (name == "--resolve") command_.resolve = true;
    if (name == "--config-dir") command_.config_dir = value;
    if (name == "--get") command_.get = value;
    if (name == "--package") command_.package = value;
    if (name == "--info") command_.info = value;
    if (name == "--cfg") command_.cfg = value;
    if (name == "--config-name") {
      command_.config_name = value.ends_with(".yaml") ? value.substr(0, value.size() - 5) : value;
    }
    if (name == "--jobs") {
      const auto result = std::from_chars(value.data(), value.data() + value.size(), command_.jobs);
      if (result.ec != std::errc() || *result.ptr != '\0' || command_.jobs < 1) {
        throw usage_error(fmt::format("--jobs needs a number of at least 1, got '{}'", value));
      }
    }
  }

  CommandLine& command_;
  std::vector<const FlagInfo*> given_;
};

/// `-1` or `-x=...` could be meant as a word, but no word of the grammar begins with '-'.
bool is_flag(const std::string& argument) { return argument.size() > 1 && argument[0] == '-'; }

}  // namespace

bool CommandLine::has(std::string_view word) const {
  return std::find(words.begin(), words.end(), word) != words.end();
}

const std::vector<FlagInfo>& flags() {
  static const std::vector<FlagInfo> list = {
      {"--help", "-h", "", "explain the program or a verb"},
      {"--version", "", "", "print the version"},
      {"--config-dir",
       "-cd",
       "DIR",
       "look for configurations in DIR first; alone if it has the primary one"},
      {"--config-name", "-cn", "NAME", "primary configuration, without .yaml (default: config)"},
      {"--multirun", "-m", "", "a job for each combination of swept values"},
      {"--jobs", "-j", "N", "jobs of a sweep that run at once (default: 1)"},
      {"--resolve", "", "", "replace interpolations by their values", "compose"},
      {"--get", "", "KEY", "print one resolved value", "compose"},
      {"--check", "", "", "also check the configuration against the schema", "compose"},
      {"--package", "-p", "PACKAGE", "print one part", "compose"},
      {"--cfg", "-c", "WHAT", "job (default), hydra or all", "compose"},
      {"--info", "-i", "WHAT", "defaults or searchpath", "compose"},
      {"--json", "", "", "print JSON where a verb can"},
  };
  return list;
}

const std::vector<std::string>& verbs() {
  static const std::vector<std::string> list = {"train",
                                                "predict",
                                                "reconstruct",
                                                "register",
                                                "warp",
                                                "evaluate",
                                                "generate",
                                                "render",
                                                "describe",
                                                "new",
                                                "summary",
                                                "compose",
                                                "completion"};
  return list;
}

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine command;
  command.program_words = arguments;
  FlagParser flag_parser(command);
  bool flags_end = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const int number = static_cast<int>(i) + 1;
    if (!flags_end && arguments[i] == "--") {
      flags_end = true;
    } else if (!flags_end && is_flag(arguments[i])) {
      flag_parser.parse(arguments, i);
    } else if (command.verb.empty()) {
      command.verb = arguments[i];
    } else {
      command.words.push_back(arguments[i]);
      command.word_numbers.push_back(number);
    }
  }
  if (command.verb == "help") {
    command.help = true;
    command.verb = command.words.empty() ? "" : command.words.front();
  }
  if (command.verb.empty()) return command;
  if (std::find(verbs().begin(), verbs().end(), command.verb) != verbs().end()) {
    flag_parser.check_heard();
    return command;
  }
  throw usage_error(
      fmt::format(
          "no verb '{}'{} Verbs: {}",
          command.verb,
          did_you_mean(command.verb, verbs()).empty() ? "." : did_you_mean(command.verb, verbs()),
          join(verbs())),
      "see triptych --help");
}

config::ComposeRequest compose_request(const CommandLine& command) {
  config::ComposeRequest request;
  if (!command.config_dir.empty() && !std::filesystem::is_directory(command.config_dir)) {
    throw ConfigError(
        "config_not_found",
        fmt::format("--config-dir: there is no folder '{}'", command.config_dir.string()));
  }
  request.search_path =
      config::default_search_path(command.config_dir, command.config_name, executable_path());
  request.config_name = command.config_name;
  request.overrides = command.words;
  request.word_numbers = command.word_numbers;
  request.job_name = command.verb;
  request.multirun = command.multirun;
  return request;
}

config::Node words_to_node(const CommandLine& command) {
  return config::words_to_node(command.words, command.word_numbers);
}

config::Node words_to_node(const std::vector<std::string>& words) {
  std::vector<int> numbers;
  for (std::size_t i = 0; i < words.size(); ++i) numbers.push_back(static_cast<int>(i) + 2);
  return config::words_to_node(words, numbers);
}

std::filesystem::path executable_path() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "triptych" : path;
}

void print_error(std::string_view category, std::string_view message, std::string_view hint) {
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    fmt::print(stderr, "error[{}]: {}\n", category, message.substr(0, end));
    message.remove_prefix(std::min(end + 1, message.size()));
  }
  if (!hint.empty()) fmt::print(stderr, "  hint: {}\n", hint);
}

}  // namespace triptych::app
