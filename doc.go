package andon
