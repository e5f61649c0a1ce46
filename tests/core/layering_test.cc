// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {
namespace fs = std::filesystem;

const fs::path kRoot = TRIPTYCH_SOURCE_DIR;
const std::vector<std::string> kLayers = {"core",
                                          "config",
                                          "image",
                                          "ops",
                                          "registration",
                                          "data",
                                          "model",
                                          "infer",
                                          "learn",
                                          "report",
                                          "app"};

std::vector<fs::path> sources(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".h" || entry.path().extension() == ".cc")
      found.push_back(entry.path());
  }
  return found;
}

std::vector<std::string> includes(const fs::path& file) {
  std::vector<std::string> found;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::string start = "#include \"";
    if (line.starts_with(start))
      found.push_back(line.substr(start.size(), line.find('"', start.size()) - start.size()));
  }
  return found;
}

std::string layer_of(const std::string& path) {
  const std::string start = "framework/";
  return path.starts_with(start)
             ? path.substr(start.size(), path.find('/', start.size()) - start.size())
             : "";
}

long rank(const std::string& layer) {
  const auto found = std::find(kLayers.begin(), kLayers.end(), layer);
  return found == kLayers.end() ? -1 : found - kLayers.begin();
}

TEST(Layering, LayersIncludeOnlyWhatLiesBelow) {
  for (const std::string& layer : kLayers) {
    for (const fs::path& file : sources(kRoot / "framework" / layer)) {
      for (const std::string& include : includes(file)) {
        ASSERT_TRUE(include.starts_with("framework/"))
            << file << " includes " << include << " from outside the framework";
        EXPECT_NE(layer_of(include), "components") << file;
        EXPECT_LE(rank(layer_of(include)), rank(layer)) << file << " includes " << include;
        EXPECT_GE(rank(layer_of(include)), 0) << file << " includes " << include;
      }
    }
  }
}

TEST(Layering, ComponentsIncludeTheFrameworkOnlyAndHaveNoHeaders) {
  for (const char* folder : {"backbones", "heads", "tasks", "datasets", "framework/components"}) {
    for (const fs::path& file : sources(kRoot / folder)) {
      EXPECT_EQ(file.extension(), ".cc") << file;
      for (const std::string& include : includes(file)) {
        EXPECT_GE(rank(layer_of(include)), 0) << file << " includes " << include;
        EXPECT_NE(layer_of(include), "app") << file << " includes " << include;
      }
    }
  }
}

TEST(Layering, ForeignLibrariesStayInTheirLayers) {
  const std::map<std::string, std::set<std::string>> allowed = {{"<itk", {"image"}},
                                                                {"<yaml-cpp", {"config"}},
                                                                {"<hdf5", {"image"}},
                                                                {"<spdlog", {"core"}},
                                                                {"<png.h", {"image", "report"}}};
  for (const fs::path& file : sources(kRoot / "framework")) {
    const std::string layer = layer_of(fs::relative(file, kRoot).string());
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
      if (!line.starts_with("#include <")) continue;
      for (const auto& [library, layers] : allowed) {
        if (line.find(library) == std::string::npos) continue;
        EXPECT_TRUE(layers.contains(layer)) << file << ": " << line;
        // hdf5_file.h wraps the C library for image's own sources, whose C header costs nothing to
        // include.
        if (file.filename() == "hdf5_file.h") continue;
        EXPECT_EQ(file.extension(), ".cc")
            << file << ": foreign headers belong into sources: " << line;
      }
    }
  }
}

TEST(Layering, ConfigAndCoreNeedNoLibTorchForTheLightProgram) {
  const std::set<std::string> with_torch = {"distributed.h",
                                            "distributed.cc",
                                            "nn.h",
                                            "safetensors.h",
                                            "safetensors.cc",
                                            "shape.h",
                                            "shape.cc",
                                            "torch_compat.h",
                                            "torch_compat.cc"};
  for (const char* layer : {"core", "config"}) {
    for (const fs::path& file : sources(kRoot / "framework" / layer)) {
      if (with_torch.contains(file.filename().string())) continue;
      std::ifstream stream(file);
      for (std::string line; std::getline(stream, line);) {
        EXPECT_FALSE(line.starts_with("#include <torch") || line.starts_with("#include <ATen") ||
                     line.starts_with("#include <c10"))
            << file << ": " << line;
      }
    }
  }
}

TEST(Layering, VersionGuardsStandInOneFile) {
  for (const fs::path& file : sources(kRoot / "framework")) {
    if (file.filename() == "torch_compat.cc") continue;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
      EXPECT_EQ(line.find("TORCH_VERSION_MAJOR"), std::string::npos) << file;
    }
  }
}

TEST(HouseStyle, FilesStayWithinFourHundredLinesAndCarryTheLicence) {
  for (const char* folder : {"framework", "backbones", "heads", "tasks", "datasets"}) {
    for (const fs::path& file : sources(kRoot / folder)) {
      std::ifstream stream(file);
      std::string first;
      std::getline(stream, first);
      EXPECT_EQ(first, "// SPDX-License-Identifier: Apache-2.0") << file;
      int lines = 1;
      for (std::string line; std::getline(stream, line);) ++lines;
      EXPECT_LE(lines, 400) << file;
    }
  }
}

}  // namespace
