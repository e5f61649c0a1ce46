// SPDX-License-Identifier: Apache-2.0
// Runs composition vectors through the program itself: our own in vectors/, and the larger set of
// the reference where that folder is there.
#include "framework/config/override.h"
#include "framework/config/yaml_reader.h"
#include "framework/config/yaml_writer.h"

#include "tests/conformance/run_program.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using config::Node;
using testing::ProgramResult;

std::vector<Node> load_vectors(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Node> cases;
  for (const fs::path& file : files) {
    for (const Node& node : config::read_yaml_file(file.string()).as_list()) cases.push_back(node);
  }
  return cases;
}

std::vector<Node> all_vectors() {
  const fs::path source = TRIPTYCH_SOURCE_DIR;
  std::vector<Node> cases = load_vectors(source / "tests/conformance/vectors");
  for (const Node& node : load_vectors(source / "../shared/conformance/hydra"))
    cases.push_back(node);
  return cases;
}

class Conformance : public ::testing::TestWithParam<Node> {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "triptych_vector_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    for (const config::Entry& file : GetParam().at("files").as_map()) {
      const fs::path path = folder_ / file.key.text();
      fs::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << file.value.as_string();
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  ProgramResult compose(const std::vector<std::string>& flags) const {
    const Node& vector = GetParam();
    std::vector<std::string> words = {"compose",
                                      "--config-dir",
                                      folder_.string(),
                                      "--config-name",
                                      vector.at("config_name").as_string()};
    if (vector.bool_or("multirun", false)) words.emplace_back("-m");
    words.insert(words.end(), flags.begin(), flags.end());
    for (const Node& word : vector.at("overrides").as_list()) words.push_back(word.as_string());
    std::map<std::string, std::string> environment;
    if (const Node* variables = vector.find("env")) {
      for (const config::Entry& entry : variables->as_map())
        environment[entry.key.text()] = entry.value.as_string();
    }
    return testing::run_triptych(words, environment);
  }

  void expect_error() const {
    const std::string stage = GetParam().at("error_at").as_string();
    const ProgramResult plain = compose({});
    ProgramResult result = plain;
    if (stage == "resolve" || stage == "access") {
      EXPECT_EQ(plain.exit_code, 0) << "must compose, since resolution is lazy: " << plain.errors;
      result = stage == "resolve" ? compose({"--resolve"})
                                  : compose({"--get", GetParam().at("access").as_string()});
    }
    EXPECT_EQ(result.exit_code, 2) << result.output;
    const std::string expected = "error[" + GetParam().at("expect_error").as_string() + "]: ";
    EXPECT_TRUE(result.errors.starts_with(expected))
        << "expected " << expected << "\ngot " << result.errors;
  }

  /// Two words are the same if they parse to the same override.
  static bool same_word(const std::string& a, const std::string& b) {
    const config::Override left = config::parse_override(a, {});
    const config::Override right = config::parse_override(b, {});
    return left.key_text() == right.key_text() && left.node() == right.node();
  }

  void expect_sweep(const Node& jobs) const {
    const Node::List& words = GetParam().at("expect_sweep").as_list();
    const Node::List& configs = GetParam().at("expect_configs").as_list();
    ASSERT_EQ(jobs.size(), words.size());
    for (std::size_t job = 0; job < words.size(); ++job) {
      const Node& composed = jobs.as_list()[job];
      const Node::List& got = composed.at("overrides").as_list();
      ASSERT_EQ(got.size(), words[job].size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_TRUE(same_word(got[i].as_string(), words[job].as_list()[i].as_string()))
            << got[i].as_string();
      }
      EXPECT_TRUE(composed.at("config") == configs[job])
          << config::to_flow_yaml(composed.at("config")) << "\nexpected "
          << config::to_flow_yaml(configs[job]);
    }
  }

  fs::path folder_;
};

TEST_P(Conformance, ComposesAsTheReference) {
  if (GetParam().find("expect_error") != nullptr) return expect_error();
  const ProgramResult result = compose({"--resolve"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const Node got = config::parse_yaml(result.output, "output");
  if (GetParam().find("expect_sweep") != nullptr) return expect_sweep(got);
  const Node& expected = GetParam().at("expect");
  EXPECT_TRUE(got == expected) << config::to_flow_yaml(got) << "\nexpected "
                               << config::to_flow_yaml(expected);
}

std::string name_of(const ::testing::TestParamInfo<Node>& info) {
  std::string name = info.param.at("id").as_string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Vectors, Conformance, ::testing::ValuesIn(all_vectors()), name_of);

}  // namespace

namespace config {
/// Keeps gtest from printing the bytes of a vector.
void PrintTo(const Node& node, std::ostream* stream) {
  *stream << (node.find("id") != nullptr ? node.at("id").as_string() : node.brief());
}
}  // namespace config
}  // namespace triptych
