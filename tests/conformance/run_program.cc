// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/run_program.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace triptych::testing {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!text.starts_with("VEC_") && !text.starts_with("TRIPTYCH_")) variables.push_back(text);
  }
  for (const auto& [name, value] : changes) variables.push_back(name + "=" + value);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

ProgramResult run_triptych(const std::vector<std::string>& arguments,
                           const std::map<std::string, std::string>& environment) {
  std::string folder_template =
      (std::filesystem::temp_directory_path() / "triptych_run_XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(folder_template.data());
  const std::filesystem::path out = folder / "out";
  const std::filesystem::path err = folder / "err";
  std::vector<std::string> words = {TRIPTYCH_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_with(environment);
  std::vector<char*> argv = pointers(words);
  std::vector<char*> envp = pointers(variables);
  const pid_t child = fork();
  if (child == 0) {
    dup2(open(out.c_str(), O_CREAT | O_WRONLY, 0600), STDOUT_FILENO);
    dup2(open(err.c_str(), O_CREAT | O_WRONLY, 0600), STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ProgramResult result{WIFEXITED(status) ? WEXITSTATUS(status) : 128, contents(out), contents(err)};
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace triptych::testing
