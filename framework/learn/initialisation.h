// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/core/safetensors.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace torch::nn {
class Module;
}

namespace triptych {

class Experiment;

/// One entry of the key `initialise`: an earlier run that weights are taken from, and which of
/// them.
struct InitialiseConfig {
  std::string run;
  std::string checkpoint = "best";
  std::vector<std::string> parts;
  std::map<std::string, std::string> rename;
  bool adapt_channels = false;

  void visit(auto& field) {
    field("run", run, "run directory that the weights come from", config::Need::kRequired);
    field("checkpoint", checkpoint, "which of its weights", config::OneOf{"best", "last"});
    field("parts",
          parts,
          "beginnings of the stored names to take, e.g. [sharing.column, head_bone]; [] = all");
    field("rename",
          rename,
          "beginning of a stored name: what takes its place, e.g. {head_bone: head_implant}; of "
          "several that fit the longest holds");
    field("adapt_channels",
          adapt_channels,
          "take first layers that read another number of image channels, by their mean");
  }

  std::filesystem::path folder() const {
    return std::filesystem::path(run) / "checkpoints" / checkpoint;
  }
};

/// What became of the tensors of one source; names are those of the new model.
struct InitialisationReport {
  std::string source;  ///< folder of the checkpoint
  std::int64_t step = 0;
  std::vector<std::string> taken;
  std::vector<std::string> adapted;   ///< of `taken`, those whose image channels were changed
  std::vector<std::string> reshaped;  ///< "name [stored shape] instead of [own shape]"
  std::vector<std::string> unused;    ///< stored and wanted, but the model has no such name
  std::vector<std::string> left_out;  ///< stored, but in none of the parts; stored names
};

/// What `initialise` did to a model.
struct Initialisation {
  std::vector<InitialisationReport> sources;  ///< in the order of the configuration
  std::vector<std::string> untouched;         ///< tensors of the model that no source had
};

/// Image channels that the first layer of a network reads.
struct ImageChannels {
  std::int64_t stored = 1;
  std::int64_t own = 1;
};

/// Copies stored parameters and buffers of equal name (after renaming) and shape into `module`; all
/// others stay as they are.
///
/// With `adapt_channels` a convolution over `channels.stored` image channels becomes one over
/// `channels.own`: every new channel gets the sum of the stored ones divided by the new number, so
/// that an image whose channels are equal gives what it gave before (Carreira and Zisserman, CVPR
/// 2017, inflate filters so along time). Throws model_error when a part or a renaming fits no
/// stored name, when two stored names become one, or when nothing matched; then nothing was
/// changed. `place` starts the message.
InitialisationReport initialise_module(torch::nn::Module& module,
                                       const SafeTensors& stored,
                                       const InitialiseConfig& config,
                                       const ImageChannels& channels,
                                       const std::string& place);

/// Initialises the experiment's model from the sources of its key `initialise`, one after the
/// other: what two of them have comes from the later one. Optimiser, loss weighting and adversaries
/// start anew. Throws io_error naming a run or a checkpoint that is not there.
Initialisation initialise(Experiment& experiment);

}  // namespace triptych
