//! `letterbox` of the frame pipeline.

frame_kit::stage!(frame_ops::letterbox);
