// SPDX-License-Identifier: Apache-2.0
#include "framework/config/component.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;

TEST(Registries, HoldNoNameTwiceAndNoBadName) {
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) {
    EXPECT_EQ(registry->duplicates(), std::vector<std::string>{}) << registry->kind();
  }
}

TEST(Registries, HoldWhatTheFrameworkPromises) {
  const auto has = [](const char* kind, const char* name) {
    const config::AnyRegistry* registry = config::AnyRegistry::of_kind(kind);
    return registry != nullptr && registry->contains(name);
  };
  EXPECT_TRUE(has("backbone", "unet"));
  EXPECT_TRUE(has("head", "segmentation"));
  EXPECT_TRUE(has("task", "segmentation"));
  EXPECT_TRUE(has("dataset", "implant_phantom"));
  EXPECT_TRUE(has("dataset", "volume_files"));
  EXPECT_TRUE(has("sharing", "hard"));
  EXPECT_TRUE(has("weighting", "fixed"));
  EXPECT_TRUE(has("head", "restoration"));
  EXPECT_TRUE(has("task", "enhancement"));
  EXPECT_TRUE(has("adversary", "patch_discriminator"));
}

/// The recipe experiments/<kind>/<name>.yaml of the tree that `source` lies in: in a folder above
/// it. Folders outside of the framework's tree (TRIPTYCH_COMPONENT_DIRS) bring their own
/// experiments/.
bool has_recipe(const fs::path& source, const std::string& kind, const std::string& name) {
  for (fs::path folder = source.parent_path(); folder != folder.parent_path();
       folder = folder.parent_path()) {
    if (fs::exists(folder / "experiments" / kind / (name + ".yaml"))) return true;
  }
  return false;
}

TEST(Registries, ExplainEveryFieldAndShipARecipe) {
  for (const config::AnyRegistry* registry : config::AnyRegistry::all()) {
    for (const std::string& name : registry->names()) {
      for (const config::FieldInfo& field : registry->describe(name)) {
        EXPECT_FALSE(field.help.empty()) << registry->kind() << " " << name << ": " << field.name;
      }
      // Losses and transforms are elements of lists, not groups.
      if (registry->kind() == "loss" || registry->kind() == "transform") continue;
      const fs::path source = fs::path(TRIPTYCH_SOURCE_DIR) / registry->source_file(name);
      EXPECT_TRUE(has_recipe(source, registry->kind(), name))
          << source << ": experiments/" << registry->kind() << "/" << name << ".yaml is missing";
    }
  }
}

}  // namespace
}  // namespace triptych
