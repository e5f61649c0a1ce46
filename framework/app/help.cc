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
       {"compose an experiment, train, validate, write a run folder",
        "triptych train experiment=NAME [WORD...] [-m [--jobs N]]\n       triptych train "
        "resume=DIR",
        "The run goes to outputs/<date>/<time> (hydra.run.dir=... changes that), a sweep to "
        "multirun/<date>/<time>\n"
        "(hydra.sweep.dir=..., hydra.sweep.subdir=...). resume=DIR continues a stopped run bit for "
        "bit.\n"
        "-m runs a job for each combination of values: a,b or range(1,4) or choice(a,b) or "
        "glob(*).\n"
        "A failed job does not stop the others; the exit code is then 1. Called again with the "
        "same hydra.sweep.dir,\n"
        "finished jobs are left alone and stopped ones continue.",
        {"triptych train experiment=quickstart trainer.max_steps=600",
         "triptych train experiment=quickstart hydra.run.dir=outputs/mine backbone.width=32 "
         "schedule=polynomial",
         "triptych train -m --jobs 2 experiment=quickstart seed=1,2,3 weighting=fixed,uncertainty",
         "triptych train resume=outputs/2026-01-31/12-30-00"},
        {"--multirun", "--jobs", "--config-dir", "--config-name"}}},
      {"predict",
       {"apply a trained task to a volume",
        "triptych predict run=DIR input.image=FILE output=FILE|DIR [task=NAME] [KEY=VALUE...]",
        "Reads any volume and writes labels with the same geometry. task= is needed where the run "
        "has several.\n"
        "Other keys: checkpoint=best|last, spacing=[x,y,z] in mm for a file that states none, "
        "device=, threads=,\n"
        "infer.planes=1|3|9, infer.fusion=soft|majority. With "
        "infer.outputs=[labels,probabilities,entropy,disagreement]\n"
        "output is a folder.",
        {"triptych predict run=outputs/quickstart input.image=scan.nii.gz output=labels.nii.gz",
         "triptych predict run=outputs/quickstart input.image=scan.nii.gz output=prediction "
         "infer.planes=9 "
         "'infer.outputs=[labels,entropy]'"},
        {}}},
      {"reconstruct",
       {"slices from a raw scan",
        "triptych reconstruct input.projections=SCAN output=FILE "
        "[method=fbp|iterated_fbp|sirt|tv|learned] [KEY=VALUE...]",
        "SCAN: HDF5 (Data Exchange, NXtomo, or datasets.data=/path ...), a folder or stack of "
        "pictures, or one sinogram.\n"
        "Counts become line integrals by flats and darks (input.flats= input.darks=), or by "
        "air_margin=COLUMNS;\n"
        "values=transmission|line_integrals says that they are. angles=[first,last] in degrees or "
        "a "
        "text file,\n"
        "centre=auto|pairs|fourier|COLUMN, pixel_size_mm=, "
        "layout=projections|sinogram|sinogram_transposed,\n"
        "stripes=none|sorting, stripe_window=, phase.delta_beta= phase.energy_kev= "
        "phase.distance_mm=, flip_columns=,\n"
        "rows=[first,last], columns=[first,last], views=[first,last,step], size=, voxel_mm=, "
        "pad=.\n"
        "filter=ram_lak|shepp_logan|cosine|hamming|hann, iterations=, stop_residual=, tv_weight=, "
        "non_negative=,\n"
        "views_between=; method=learned run=DIR [task=] [checkpoint=] [device=]; "
        "input.metal=MASK metal=li|nmar water=;\n"
        "beam=fan_flat|fan_curved source_to_axis_mm= source_to_detector_mm=; memory=2GB, threads=. "
        "Values are 1/cm, or\n"
        "1/pixel where the pixel size is unknown. Slices are made in blocks that fit into memory=.",
        {"triptych reconstruct input.projections=scan.h5 output=volume.h5 stripes=sorting",
         "triptych reconstruct input.projections=sinogram.tif 'angles=[0,360]' air_margin=10 "
         "output=slice.tif",
         "triptych reconstruct input.projections=scan.nxs output=volume.tif method=tv "
         "'rows=[500,519]' tv_weight=0.02"},
        {}}},
      {"register",
       {"align two images: an affine start, then a deformation",
        "triptych register input.fixed=FILE input.moving=FILE output=DIR [KEY=VALUE...]",
        "Finds where every position of the fixed image lies in the moving one, by grey values "
        "alone and whatever the\n"
        "modalities; the moving image comes onto the grid of the fixed one. Two volumes, two 2D "
        "images, or a fixed 2D\n"
        "section of a moving volume. Writes to DIR: transform.h5 (ITK, Slicer), warped image, "
        "displacement.nii.gz, pictures\n"
        "and registration.json with scores before, after the start and after the deformation.\n"
        "Scores also of input.fixed_labels= input.moving_labels= (overlap), "
        "input.fixed_landmarks= input.moving_landmarks=\n"
        "(distances) and reference=TRANSFORM (one known to be right); input.fixed_mask= "
        "input.moving_mask= say which voxels count.\n"
        "start.model=none|translation|rigid|similarity|affine, start.largest_rotation_deg=, "
        "initial=TRANSFORM,\n"
        "start_from=images|landmarks|labels|canonical; run=RUN of a trained network, task=, "
        "checkpoint=best|last,\n"
        "features=auto|mind|learned|both; deformation.enabled=false, deformation.regularisation=, "
        "deformation.search_step=,\n"
        "deformation.search_width=, deformation.iterations=, deformation.fine_iterations=, "
        "deformation.voxels=;\n"
        "interpolation=linear|cubic|nearest, fill=, displacement=false, pictures=false, "
        "overwrite=true, memory=4GB, scratch=,\n"
        "spacing=[x,y,z] in mm for files that state none, threads=. Lengths are pixels where the "
        "spacing is unknown.",
        {"triptych register input.fixed=before.nii.gz input.moving=after.nii.gz output=aligned",
         "triptych register input.fixed=ct.nii.gz input.moving=mri.nii.gz output=rigid "
         "start.model=rigid deformation.enabled=false",
         "triptych register input.fixed=he.png input.moving=stain.png output=sections "
         "input.fixed_landmarks=he.csv input.moving_landmarks=stain.csv start_from=landmarks"},
        {"--json"}}},
      {"warp",
       {"apply a saved transform to an image, labels or points",
        "triptych warp transform=FILE input.moving=FILE|input.labels=FILE|input.points=FILE "
        "output=FILE [KEY=VALUE...]",
        "The transform (.h5, .tfm, .txt or a displacement image, of Triptych, ITK, Slicer or ANTs) "
        "maps positions of the\n"
        "fixed image to those of the moving one. So an image or label map of the moving image "
        "comes onto grid=<fixed image>,\n"
        "and points of the fixed image go to the moving one. inverse=true does both the other way. "
        "Without grid= the\n"
        "image keeps its own grid. Points in pixels or voxels need grid=<the image they are given "
        "in>. Other keys:\n"
        "interpolation=linear|cubic|nearest, fill=0, spacing=[x,y,z] in mm, memory=4GB, scratch=, "
        "threads=.",
        {"triptych warp transform=aligned/transform.h5 input.moving=after.nii.gz "
         "grid=before.nii.gz "
         "output=warped.nii.gz",
         "triptych warp transform=aligned/transform.h5 input.labels=labels.nii.gz "
         "grid=before.nii.gz output=warped_labels.nii.gz",
         "triptych warp transform=aligned/transform.h5 input.points=points_of_after.csv "
         "inverse=true output=points_in_before.csv"},
        {}}},
      {"evaluate",
       {"metrics of a run, or of a label file or image against a reference",
        "triptych evaluate run=DIR [split=test] [compare=true] [KEY=VALUE...]\n"
        "       triptych evaluate input.prediction=FILE input.reference=FILE [output=DIR]\n"
        "       triptych evaluate kind=images input.prediction=FILE input.reference=FILE "
        "[input.mask=FILE]",
        "Predicts the samples of a split (train, validation or test) and scores them; compare=true "
        "scores single plane\n"
        "sets, voting over 3 and 9 sets and Otsu's thresholds too. Other keys: task=, "
        "checkpoint=best|last, limit=N\n"
        "samples, output=DIR, device=, threads=, infer.KEY=. Prints a table, with --json the same "
        "as JSON.",
        {"triptych evaluate run=outputs/quickstart",
         "triptych evaluate run=outputs/quickstart split=validation limit=1 compare=true "
         "infer.planes=9",
         "triptych evaluate input.prediction=labels.nii.gz input.reference=truth.nii.gz --json"},
        {"--json"}}},
      {"generate",
       {"write a data set to disk as files",
        "triptych generate output=DIR [dataset=NAME] [WORD...]",
        "Writes DIR/<sample>/<entry>.nii.gz, DIR/manifest.yaml, and DIR/dataset/generated.yaml, "
        "which reads them back:\n"
        "triptych train --config-dir DIR dataset@datasets.volumes=generated ...\n"
        "Other keys: format=.mha, splits=[train,test], limit=N samples of each split, threads=N, "
        "dataset.KEY=.",
        {"triptych generate output=data/phantoms dataset.train=4 'dataset.size=[96,96,96]'",
         "triptych generate output=data/few dataset.seed=7 limit=1 'splits=[test]' format=.mha"},
        {"--config-dir", "--config-name"}}},
      {"render",
       {"picture of a volume: three planes, scale bar, window stated",
        "triptych render input.image=FILE [input.label=FILE] output=FILE.png [KEY=VALUE...]",
        "Labels are drawn over the image. Other keys: window=[lo,hi], index=[d,h,w] where the "
        "planes meet,\n"
        "spacing=[x,y,z] in mm, colour_map=gray|viridis|rdbu, fill=0..1, title=.",
        {"triptych render input.image=scan.nii.gz input.label=labels.nii.gz output=overview.png",
         "triptych render input.image=scan.nii.gz output=overview.png 'index=[10,20,30]' "
         "colour_map=viridis"},
        {}}},
      {"describe",
       {"groups, their options, components and every field",
        "triptych describe [KIND [NAME]] [--json]",
        "Without words: every group with its options and every kind with its components. KIND: the "
        "fields of all of its\n"
        "components with types, defaults, bounds, help and source file. KIND NAME: one component, "
        "or the text of an option.",
        {"triptych describe",
         "triptych describe head segmentation",
         "triptych describe transform",
         "triptych describe optimizer sgd"},
        {"--json", "--config-dir"}}},
      {"new",
       {"write the files of a new component, ready to build",
        "triptych new KIND NAME",
        "KIND: backbone, head, task, dataset, loss, sharing, weighting. Writes <kind>s/NAME.cc "
        "and\n"
        "experiments/<kind>/NAME.yaml into the folder that holds heads/ and experiments/; losses, "
        "sharings and\n"
        "weightings of the program's own tree lie below framework/components.\n"
        "Existing files stay as they are. Build to use it.",
        {"triptych new head my_head"},
        {}}},
      {"summary",
       {"parameters, multiply-adds, memory and receptive field of a model",
        "triptych summary experiment=NAME [WORD...] [--json]",
        "Composes as train does, builds the model and trains nothing.",
        {"triptych summary experiment=quickstart",
         "triptych summary experiment=srct_baseline backbone.width=64 backbone.depth=5 --json"},
        {"--json", "--config-dir", "--config-name"}}},
      {"compose",
       {"print the composed configuration",
        "triptych compose [WORD...] [FLAG...]",
        "Prints what train would use, without running it. Interpolations stay as written unless "
        "--resolve\n"
        "or --get ask for their values. -m prints a list of {overrides, config} in the order of "
        "the jobs.",
        {"triptych compose experiment=quickstart trainer.max_steps=10 --resolve",
         "triptych compose experiment=quickstart --get optimizer.lr",
         "triptych compose experiment=quickstart --package trainer",
         "triptych compose -m experiment=quickstart seed=1,2 weighting=fixed,uncertainty",
         "triptych compose experiment=quickstart --info defaults",
         "triptych compose experiment=quickstart trainer.max_steps=10 --check"},
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
         "source <(triptych completion zsh)   # after compinit; or: triptych completion zsh > "
         "\"${fpath[1]}/_triptych\""},
        {}}},
  };
  return map;
}

std::string flag_line(const FlagInfo& flag) {
  std::string name =
      *flag.short_name != '\0' ? fmt::format("{}, {}", flag.short_name, flag.name) : flag.name;
  if (*flag.value != '\0') name += fmt::format(" {}", flag.value);
  const std::string only = *flag.verb != '\0' ? fmt::format("{}: ", flag.verb) : "";
  return fmt::format("  {:<26} {}{}\n", name, only, flag.help);
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
