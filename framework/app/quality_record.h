// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/trained_task.h"
#include "framework/image/io.h"

#include <string>

namespace triptych::app {

/// An image as the network takes or gives it, and in the grey values that files hold.
struct MeasuredImage {
  const VolumeStore& network;
  VolumeSource file;
};

/// Writes `output`.quality.json: what image_quality() says of the input and of the image that the
/// task made of it, and, where the run trained an adversary that scores single images, its mean
/// score of both (high = taken for a target). Slices of less than 8 pixels along an edge are not
/// measured, and nothing is written.
void write_quality(const std::string& output,
                   const TrainedTask& trained,
                   const MeasuredImage& input,
                   const MeasuredImage& result);

/// The same of a reconstruction, which has no input image.
void write_quality(const std::string& output, const VolumeSource& result);

}  // namespace triptych::app
