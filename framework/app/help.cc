// SPDX-License-Identifier: Apache-2.0
#include "framework/app/help.h"

#include "framework/app/command_line.h"

#include <map>
#include <vector>

#include <fmt/core.h>

namespace triptych::app {
namespace {

struct VerbHelp {
  const char* summary;
  const char* usage;
  const char* details;
  std::vector<const char*> examples;
  std::vector<const char*> flags;
};

constexpr const char* kOverrideGrammar =
    "Words follow Hydra's grammar: key=value changes, +key=value adds, ++key=value does either,\n"
    "~key removes; group=option chooses an option, group@package=option for one package.\n"
    "Lists are [a,b], maps {k: v}; quote text with special characters: \"key='a, b'\".";

const std::map<std::string, VerbHelp>& texts() {
  static const std::map<std::string, VerbHelp> map = {
      {"train",
       {"compose an experiment, train, evaluate, write a run folder",
        "triptych train [experiment=NAME] [WORD...] [-m [--jobs N]]",
        "The run goes to outputs/<date>/<time> (hydra.run.dir=... changes that), a sweep to "
        "multirun/.\n"
        "resume=<run folder> continues a stopped run bit for bit. -m runs a job for each "
        "combination of\n"
        "comma-separated values; a failed job does not stop the others.",
        {"triptych train experiment=implant_and_denoising trainer.max_steps=500",
         "triptych train -m experiment=implant_and_denoising weighting=uncertainty,pcgrad "
         "seed=1,2,3",
         "triptych train resume=outputs/2026-01-31/12-30-00"},
        {"--multirun", "--jobs", "--config-dir", "--config-name"}}},
      {"predict",
       {"apply a trained task to files",
        "triptych predict run=DIR task=NAME input.ROLE=FILE output=FILE [spacing=[z,y,x]]",
        "Reads any volume and writes the result with the same geometry. spacing= is asked for only "
        "where\n"
        "the file knows none and the task needs millimetres.",
        {"triptych predict run=outputs/2026-01-31/12-30-00 task=implant input.image=scan.nii.gz "
         "output=labels.nii.gz"},
        {}}},
      {"register",
       {"align a moving image to a fixed one",
        "triptych register input.fixed=FILE input.moving=FILE output=DIR [run=DIR]",
        "Without run= classical registration is used; with it, the registration task of that run.",
        {"triptych register input.fixed=ct.nii.gz input.moving=histology.tif output=aligned"},
        {}}},
      {"warp",
       {"apply a saved transform to an image, labels or points",
        "triptych warp input.image=FILE transform=FILE output=FILE",
        "Labels keep their values (nearest neighbour), points move with the frame they lie in.",
        {"triptych warp input.image=moving.nii.gz transform=aligned/transform.h5 "
         "output=moved.nii.gz"},
        {}}},
      {"reconstruct",
       {"reconstruct a volume from projections",
        "triptych reconstruct input.projections=FILE output=FILE [run=DIR]",
        "Without run= filtered back projection is used; with it, the reconstruction task of that "
        "run.",
        {"triptych reconstruct input.projections=scan.h5 output=volume.nii.gz"},
        {}}},
      {"evaluate",
       {"metrics of a run, or of files against reference files",
        "triptych evaluate run=DIR [dataset=NAME]\n       triptych evaluate input.prediction=FILE "
        "input.reference=FILE",
        "Prints a table, with --json the same as JSON.",
        {"triptych evaluate run=outputs/2026-01-31/12-30-00",
         "triptych evaluate input.prediction=labels.nii.gz input.reference=truth.nii.gz --json"},
        {"--json"}}},
      {"generate",
       {"write a synthetic dataset to disk",
        "triptych generate dataset=NAME output=DIR [WORD...]",
        "The folder can be read back as a dataset of files.",
        {"triptych generate dataset=implant_phantom output=data/phantoms dataset.count=20"},
        {"--config-dir"}}},
      {"render",
       {"pictures of a volume: three planes, scale bar, window stated",
        "triptych render input.image=FILE [input.label=FILE] output=FILE.png",
        "Labels are drawn over the image; transforms and displacement fields as grids and arrows.",
        {"triptych render input.image=scan.nii.gz input.label=labels.nii.gz output=overview.png"},
        {}}},
      {"describe",
       {"components of the program, and their fields",
        "triptych describe [KIND [NAME]]",
        "Without words: every kind and its components. With a name: fields, types, defaults, "
        "bounds, help\n"
        "and source file.",
        {"triptych describe", "triptych describe head segmentation"},
        {"--json"}}},
      {"new",
       {"write the two files of a new component, ready to build",
        "triptych new KIND NAME",
        "KIND: backbone, head, task, dataset, loss, weighting. Writes <kind>s/NAME.cc (losses and\n"
        "weightings below framework/components) and experiments/<kind>/NAME.yaml, into the folder "
        "that\n"
        "holds heads/ and experiments/. Existing files stay as they are. Build to use it.",
        {"triptych new head my_head && cmake --build --preset dev"},
        {}}},
      {"summary",
       {"parameters, multiply-adds, memory and receptive field of a model",
        "triptych summary [WORD...] [--json]",
        "Composes as train does, builds the model and trains nothing.",
        {"triptych summary experiment=implant_and_denoising",
         "triptych summary backbone=unet backbone.depth=5 --json"},
        {"--json", "--config-dir", "--config-name"}}},
      {"compose",
       {"print the composed configuration",
        "triptych compose [WORD...] [FLAG...]",
        "Prints what train would use, without running it. Interpolations stay as written unless "
        "--resolve\n"
        "or --get ask for their values. -m prints a list of {overrides, config} in the order of "
        "the jobs.",
        {"triptych compose experiment=implant_and_denoising trainer.max_steps=10 --resolve",
         "triptych compose --get backbone.name",
         "triptych compose -m seed=1,2 weighting=uniform,uncertainty",
         "triptych compose --info defaults"},
        {"--resolve",
         "--get",
         "--multirun",
         "--check",
         "--package",
         "--cfg",
         "--info",
         "--config-dir",
         "--config-name"}}},
      {"completion",
       {"completion for a shell",
        "triptych completion bash|zsh",
        "Completes verbs, flags, groups, their options and the keys of the composed configuration.",
        {"source <(triptych completion bash)",
         "triptych completion zsh > \"${fpath[1]}/_triptych\""},
        {}}},
  };
  return map;
}

std::string flag_line(const FlagInfo& flag) {
  std::string name =
      *flag.short_name != '\0' ? fmt::format("{}, {}", flag.short_name, flag.name) : flag.name;
  if (*flag.value != '\0') name += fmt::format(" {}", flag.value);
  return fmt::format("  {:<26} {}\n", name, flag.help);
}

}  // namespace

std::string program_help() {
  std::string text =
      "triptych: multi-task deep learning on tomographic volumes\n"
      "(enhancement, segmentation and registration on one shared network)\n\n"
      "Usage: triptych VERB [WORD...] [FLAG...]\n\nVerbs:\n";
  for (const std::string& verb : verbs())
    text += fmt::format("  {:<12} {}\n", verb, texts().at(verb).summary);
  text += "\nFlags:\n";
  for (const FlagInfo& flag : flags()) text += flag_line(flag);
  text += fmt::format("\n{}\n\ntriptych VERB --help explains a verb with examples.\n",
                      kOverrideGrammar);
  return text;
}

std::string verb_help(const std::string& verb) {
  const VerbHelp& help = texts().at(verb);
  std::string text = fmt::format(
      "triptych {}: {}\n\nUsage: {}\n\n{}\n", verb, help.summary, help.usage, help.details);
  const bool composes =
      verb == "train" || verb == "generate" || verb == "summary" || verb == "compose";
  if (composes) text += fmt::format("\n{}\n", kOverrideGrammar);
  if (!help.flags.empty()) text += "\nFlags:\n";
  for (const FlagInfo& flag : flags()) {
    for (const char* name : help.flags) {
      if (std::string_view(name) == flag.name) text += flag_line(flag);
    }
  }
  text += "\nExamples:\n";
  for (const char* example : help.examples) text += fmt::format("  {}\n", example);
  return text;
}

}  // namespace triptych::app
