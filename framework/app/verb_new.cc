// SPDX-License-Identifier: Apache-2.0
#include "framework/app/component_templates.h"
#include "framework/app/light_verbs.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cstdio>

namespace triptych::app {
namespace {

namespace fs = std::filesystem;

struct KindInfo {
  const char* kind;
  const char* folder;
  const char* suffix;  ///< of the class
  const char* source;
  const char* recipe;  ///< nullptr where the component stands inside another recipe
};

using namespace templates;

constexpr KindInfo kKinds[] = {
    {"backbone", "backbones", "Backbone", kBackbone, kBackboneRecipe},
    {"dataset", "datasets", "Dataset", kDataset, kDatasetRecipe},
    {"head", "heads", "Head", kHead, kHeadRecipe},
    {"loss", "framework/components/loss", "Loss", kLoss, nullptr},
    {"sharing", "framework/components/sharing", "Sharing", kSharing, kSharingRecipe},
    {"task", "tasks", "Task", kTask, kTaskRecipe},
    {"weighting", "framework/components/weighting", "Weighting", kWeighting, kWeightingRecipe},
};

const KindInfo& kind_info(const std::string& kind) {
  std::vector<std::string> names;
  for (const KindInfo& info : kKinds) {
    if (kind == info.kind) return info;
    names.emplace_back(info.kind);
  }
  throw usage_error(fmt::format("new makes no '{}'{} Kinds: {}",
                                kind,
                                did_you_mean(kind, names).empty() ? "." : did_you_mean(kind, names),
                                join(names)));
}

void check_name(const std::string& name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool good =
      !name.empty() && lower(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
        return lower(c) || (c >= '0' && c <= '9') || c == '_';
      });
  if (!good) throw usage_error(fmt::format("a name matches [a-z][a-z0-9_]*, got '{}'", name));
}

/// "my_head" of kind head -> "MyHead", "graph" -> "GraphHead".
std::string class_name(const std::string& name, const std::string& suffix) {
  std::string text;
  bool upper = true;
  for (const char c : name) {
    if (c != '_')
      text += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = c == '_';
  }
  return text.size() > suffix.size() && text.ends_with(suffix) ? text : text + suffix;
}

std::string filled(std::string text, const std::string& name, const std::string& type) {
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"NAME", name}, {"CLASS", type}}) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

/// The tree in whose folders the components lie: here or above, or where this program was built.
fs::path source_tree() {
  for (fs::path folder = fs::current_path();; folder = folder.parent_path()) {
    if (fs::is_directory(folder / "heads") && fs::is_directory(folder / "experiments"))
      return folder;
    if (folder == folder.parent_path()) break;
  }
  if (fs::is_directory(fs::path(TRIPTYCH_SOURCE_DIR) / "heads")) return TRIPTYCH_SOURCE_DIR;
  throw Error("io",
              "no folder with heads/ and experiments/ here or above",
              "run it in the source tree of Triptych");
}

/// Outside the program's own tree every kind has a folder beside heads/.
fs::path source_folder(const fs::path& tree, const KindInfo& info) {
  const fs::path own = tree / info.folder;
  const bool outside = !fs::is_directory(tree / "framework");
  if (!outside || own.parent_path() == tree) return own;
  const std::string kind = info.kind;
  return tree / (kind.ends_with("s") ? kind + "es" : kind + "s");
}

}  // namespace

int new_component(const CommandLine& command) {
  if (command.words.size() != 2)
    throw usage_error("new needs a kind and a name", "triptych new head my_head");
  const KindInfo& info = kind_info(command.words[0]);
  const std::string& name = command.words[1];
  check_name(name);
  const fs::path tree = source_tree();
  const fs::path source = source_folder(tree, info) / (name + ".cc");
  const fs::path recipe = tree / "experiments" / info.kind / (name + ".yaml");
  for (const fs::path& path : {source, recipe}) {
    if (fs::exists(path))
      throw Error("io", fmt::format("{}: is there already", path.string()), "choose another name");
  }
  const std::string type = class_name(name, info.suffix);
  write_file_atomically(
      source, "// SPDX-License-Identifier: Apache-2.0\n" + filled(info.source, name, type));
  fmt::print("{}\n", source.string());
  if (info.recipe != nullptr) {
    write_file_atomically(recipe, filled(info.recipe, name, type));
    fmt::print("{}\n", recipe.string());
  }
  fmt::print(
      stderr, "build to use it; triptych describe {} {} then shows its fields\n", info.kind, name);
  return 0;
}

}  // namespace triptych::app
