// The memory bank of one object, as export/tracking/bank.py has it. C++17, no dependencies.
//
// f is the image size / 16; all arrays are float32, row by row. Call `remember` after every frame with what
// memory_encoder and mask_decoder gave, and `inputs` before memory_attention of the next frame.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
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
    explicit Bank(int prompted_at) : prompted_at_(prompted_at) {}

    // memory: [64, f, f] of maskmem_features; pointer: [256] of obj_ptr.
    void remember(std::vector<float> memory, std::vector<float> pointer) {
        if (first_memory_.empty()) {
            first_memory_ = std::move(memory);
            first_pointer_ = std::move(pointer);
            return;
        }
        memories_.push_back(std::move(memory));
        if (memories_.size() > 6) memories_.pop_front();
        pointers_.push_back(std::move(pointer));
        if (pointers_.size() > 15) pointers_.pop_front();
    }

    // positions: [f * f, 64] of maskmem_pos_enc; temporal: [7, 64] of temporal_code.
    AttentionInputs inputs(int frame, const std::vector<float>& positions, const std::vector<float>& temporal) const {
        AttentionInputs made{};
        made.frames = 1 + memories_.size();
        made.pointers = 1 + pointers_.size();
        made.cond_frame_id_diff = static_cast<float>(frame - prompted_at_);

        append(made.memory_0, first_pointer_);  // then the newest first
        std::for_each(pointers_.rbegin(), pointers_.rend(), [&](const auto& one) { append(made.memory_0, one); });

        append(made.memory_1, first_memory_);  // then the oldest first
        for (const auto& one : memories_) append(made.memory_1, one);

        append_positions(made.memory_pos_embed, positions, temporal, 6);
        for (std::size_t age = memories_.size(); age > 0; --age) {
            append_positions(made.memory_pos_embed, positions, temporal, age - 1);
        }
        made.memory_pos_embed.resize(made.memory_pos_embed.size() + made.pointers * 4 * 64);
        return made;
    }

  private:
    static void append(std::vector<float>& to, const std::vector<float>& from) {
        to.insert(to.end(), from.begin(), from.end());
    }

    static void append_positions(std::vector<float>& to, const std::vector<float>& positions,
                                 const std::vector<float>& temporal, std::size_t row) {
        for (std::size_t i = 0; i < positions.size(); ++i) to.push_back(positions[i] + temporal[row * 64 + i % 64]);
    }

    int prompted_at_;
    std::vector<float> first_memory_;
    std::vector<float> first_pointer_;
    std::deque<std::vector<float>> memories_;
    std::deque<std::vector<float>> pointers_;
};
