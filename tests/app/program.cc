// SPDX-License-Identifier: Apache-2.0
#include "tests/app/program.h"

#include "framework/core/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace triptych::testing {
namespace fs = std::filesystem;
namespace {

pid_t spawn(const std::vector<std::string>& words,
            const fs::path& folder,
            const fs::path& out,
            const fs::path& err) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const int output = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int errors = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  if (::chdir(folder.c_str()) != 0) ::_exit(126);
  std::vector<char*> arguments = {const_cast<char*>(TRIPTYCH_PROGRAM)};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(TRIPTYCH_PROGRAM, arguments.data());
  ::_exit(127);
}

/// A folder that two test programs at once do not share; removed at the end.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(fs::path(::testing::TempDir()) / ("triptych_tests_" + std::to_string(::getpid()))) {}
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

int wait_for(pid_t process) {
  int status = 0;
  ::waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Finished run_program(const std::vector<std::string>& words, const fs::path& folder) {
  const fs::path out = folder / ".stdout";
  const fs::path err = folder / ".stderr";
  Finished finished;
  finished.code = wait_for(spawn(words, folder, out, err));
  finished.out = read_file(out);
  finished.err = read_file(err);
  return finished;
}

std::string failure(const fs::path& folder, const std::vector<std::string>& words, int code) {
  const auto finished = run_program(words, folder);
  EXPECT_EQ(finished.code, code) << finished.err;
  EXPECT_THAT(finished.err, ::testing::HasSubstr("error["));
  return finished.err;
}

pid_t start_program(const std::vector<std::string>& words, const fs::path& folder) {
  return spawn(words, folder, folder / "background.out", folder / "background.log");
}

std::vector<std::string> tiny_quickstart(const fs::path& run, std::vector<std::string> more) {
  std::vector<std::string> words = {"train",
                                    "experiment=quickstart",
                                    "device=cpu",
                                    "hydra.run.dir=" + run.string(),
                                    "datasets.phantoms.size=[32,32,32]",
                                    "datasets.phantoms.train=2",
                                    "datasets.phantoms.validation=1",
                                    "datasets.phantoms.test=1",
                                    "tasks.implant.batch_size=2",
                                    "tasks.implant.validation_items=2",
                                    "backbone.width=4",
                                    "backbone.depth=2",
                                    "trainer.max_steps=4",
                                    "trainer.validate_every=2",
                                    "trainer.checkpoint_every=2",
                                    "trainer.log_every=1",
                                    "trainer.overlays=1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

fs::path fresh_folder(const std::string& name) {
  static const ScratchFolder scratch;
  const fs::path folder = scratch.path() / ("triptych_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

}  // namespace triptych::testing
