// The memory bank of one object, as export/tracking/bank.py has it. C++17, no dependencies.
//
// f is the image size / 16; all arrays are float32, row by row. Call `remember` after every frame with the outputs of
// memory_encoder and mask_decoder, and `inputs` before memory_attention of the next frame. Every prompted frame is kept,
// and needs one more frame and one more pointer in TensorRT's profile: surgeon export --prompted-frames N.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <utility>
#include <vector>

struct AttentionInputs {
    std::vector<float> memory_0;          // [pointers, 256]
    std::vector<float> memory_1;          // [frames, 64, f, f]
    std::vector<float> memory_pos_embed;  // [f * f * frames + 4 * pointers, 64]
    float cond_frame_id_diff;
    std::size_t frames;
    std::size_t pointers;
};

class Bank {
  public:
    // memory: [64, f, f] of maskmem_features; pointer: [256] of obj_ptr. The first frame must be a prompted one.
    void remember(int frame, std::vector<float> memory, std::vector<float> pointer, bool prompted) {
        if (prompted) {
            prompted_[frame] = {std::move(memory), std::move(pointer)};
            return;
        }
        memories_.emplace_back(frame, std::move(memory));
        if (memories_.size() > kRecentMemories) memories_.pop_front();
        pointers_.emplace_back(frame, std::move(pointer));
        if (pointers_.size() > kRecentPointers) pointers_.pop_front();
    }

    // positions: [f * f, 64] of maskmem_pos_enc; temporal: [7, 64] of temporal_code.
    AttentionInputs inputs(int frame, const std::vector<float>& positions, const std::vector<float>& temporal) const {
        AttentionInputs made{};
        const int first = prompted_.begin()->first;
        made.cond_frame_id_diff = static_cast<float>(frame - first);

        for (const auto& [at, entry] : prompted_) {  // all prompted frames, with the last temporal code
            append(made.memory_1, entry.first);
            append_positions(made.memory_pos_embed, positions, temporal, 6);
            ++made.frames;
        }
        for (const auto& [at, memory] : memories_) {  // then the last 6 frames, the oldest first
            const int age = frame - at;
            if (age > kRecentMemories) continue;
            append(made.memory_1, memory);
            append_positions(made.memory_pos_embed, positions, temporal, static_cast<std::size_t>(age - 1));
            ++made.frames;
        }

        std::map<int, const std::vector<float>*> by_age;  // after the first prompted frame's pointer, the newest first
        for (const auto& [at, pointer] : pointers_) {
            if (frame - at <= kRecentPointers) by_age[frame - at] = &pointer;
        }
        for (const auto& [at, entry] : prompted_) {
            if (at != first) by_age[frame - at] = &entry.second;
        }
        append(made.memory_0, prompted_.begin()->second.second);
        for (const auto& [age, pointer] : by_age) append(made.memory_0, *pointer);
        made.pointers = 1 + by_age.size();
        made.memory_pos_embed.resize(made.memory_pos_embed.size() + made.pointers * 4 * 64);
        return made;
    }

  private:
    static constexpr int kRecentMemories = 6;
    static constexpr int kRecentPointers = 15;

    static void append(std::vector<float>& to, const std::vector<float>& from) {
        to.insert(to.end(), from.begin(), from.end());
    }

    static void append_positions(std::vector<float>& to, const std::vector<float>& positions,
                                 const std::vector<float>& temporal, std::size_t row) {
        for (std::size_t i = 0; i < positions.size(); ++i) to.push_back(positions[i] + temporal[row * 64 + i % 64]);
    }

    std::map<int, std::pair<std::vector<float>, std::vector<float>>> prompted_;  // memory and pointer by frame
    std::deque<std::pair<int, std::vector<float>>> memories_;
    std::deque<std::pair<int, std::vector<float>>> pointers_;
};
